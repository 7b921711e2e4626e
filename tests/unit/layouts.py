"""A few rows in each layout that a preset is for, as the data are published."""

import json
from pathlib import Path

SEGMENT = [
    {
        "type": "track",
        "event": "Product Viewed",
        "messageId": "m1",
        "userId": "anna-1815",
        "anonymousId": "device-0001",
        "timestamp": "2026-01-05T12:00:00.000+02:00",
        "originalTimestamp": "2026-01-05T10:00:01Z",
        "context": {"userAgent": "Mozilla/5.0 (iPhone) Mobile", "os": {"name": "iOS"}, "campaign": {"name": "spring"}},
        "properties": {"product_id": "p1", "price": 9.5, "currency": "EUR"},
    },
    {
        "type": "track",
        "event": "Order Completed",
        "messageId": "m2",
        "anonymousId": "device-0001",
        "timestamp": "2026-01-05T10:05:00Z",
        "properties": {
            "order_id": "o1",
            "currency": "EUR",
            "products": [{"product_id": "p1", "price": 9.5, "quantity": 2, "position": 1}, {"product_id": "p2", "price": 3, "quantity": 1, "position": 2}],
        },
    },
    {"type": "page", "messageId": "m3", "anonymousId": "device-0001", "timestamp": "2026-01-05T10:06:00Z", "properties": {"path": "/"}},
    {"type": "identify", "messageId": "m4", "userId": "anna-1815", "anonymousId": "device-0001", "timestamp": "2026-01-05T10:07:00Z"},
]
TEXTS = {
    "retailrocket": {
        "events.csv": """\
timestamp,visitorid,event,itemid,transactionid
1433221332117,257597,view,355908,
1433224214164,992329,addtocart,248676,
1433222276276,599528,transaction,356475,4000
""",
        "item_properties_part1.csv": "timestamp,itemid,property,value\n1435460400000,460429,categoryid,1338\n1441508400000,206783,888,1116713 960601 n277.200\n",
        "category_tree.csv": "categoryid,parentid\n1016,213\n809,169\n",
    },
    "rees46": {
        "2019-Oct.csv": """\
event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session
2019-10-01 00:00:00 UTC,view,44600062,2103807459595387724,,shiseido,35.79,541312140,72d76fde-8bb3-4e00-8c23-a032dfed738c
2019-10-01 00:02:11 UTC,cart,3900821,2053013552326770905,appliances.environment.water_heater,aqua,33.20,554748717,9333dfbd-b87a-4708-9857-6336556b0fcc
2019-10-01 00:03:00 UTC,remove_from_cart,3900821,2053013552326770905,appliances.environment.water_heater,aqua,33.20,554748717,9333dfbd-b87a-4708-9857-6336556b0fcc
2019-10-31 23:59:59 UTC,purchase,1307067,2053013558920217191,computers.notebook,lenovo,251.74,550050854,7c90fc70-0e80-4590-96f3-13c02c18c713
""",
    },
    "movielens": {
        "ratings.csv": "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n1,3,4.5,964981247\n",
        "movies.csv": 'movieId,title,genres\n1,Toy Story (1995),Adventure|Animation|Children\n3,"American President, The (1995)",Comedy|Drama|Romance\n',
        "tags.csv": "userId,movieId,tag,timestamp\n2,60756,funny,1445714994\n",
        "links.csv": "movieId,imdbId,tmdbId\n1,0114709,862\n",
    },
    "segment": {"logs/1767571200000/calls.json": "".join(json.dumps(call) + "\n" for call in SEGMENT)},
}


def write(folder: Path, name: str) -> Path:
    """The files of layout `name` below `folder`; Segment's packed, as its destination writes them."""
    import gzip

    for file, text in TEXTS[name].items():
        path = folder / (f"{file}.gz" if name == "segment" else file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return folder
