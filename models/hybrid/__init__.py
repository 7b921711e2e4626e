"""The hybrid of one machine: sources tuned on an inner split of the training data, then a learnt order of all that they propose.

`learn.learn` is the way in. What is served is what wins on users that the learning has not seen: one source, the weighted blend, or the trees.
"""
