"""What columns and events are called in the wild: names that shops, news sites, customer-data platforms and published data sets use.

All are written as `normalised` makes them: lower case, letters and digits only. The first of a list is the best one.
"""

import re
from typing import Final

_IDS: Final = {
    "user_id": "userid customerid personid memberid accountid buyerid reviewerid readerid subscriberid userno customerno customernumber customer user uid memberno person",
    "anonymous_id": "anonymousid visitorid cookieid deviceid userpseudoid fullvisitorid clientid browserid visitor cookie",
    "item_id": "itemid productid articleid contentid movieid stockcode sku skuid productcode productsku itemcode asin bookid isbn songid trackid videoid newsid adid "
    "businessid venueid recipeid ean gtin variantid articleno itemno product item article content",
}
COLUMNS: Final[dict[str, dict[str, str]]] = {
    "events": {
        "occurred_at": "occurredat eventtime eventtimestamp timestamp originaltimestamp clicktimestamp eventdatetime ts datetime time createdat servertime eventdate invoicedate "
        "orderdate purchasedate purchasedat orderedat visitedat viewedat loggedat date when utctime unixtime receivedat",
        "event_id": "eventid messageid insertid eventuuid uuid hitid",
        **_IDS,
        "session_id": "sessionid session usersession visitid gasessionid sid sessionkey sessiontoken",
        "order_id": "orderid transactionid invoiceno invoice invoicenumber invoiceid receipt receiptid receiptno ordernumber orderno basketid purchaseid transaction ordernr",
        "quantity": "quantity qty pieces units itemquantity productquantity count",
        "unit_price": "unitprice price itemprice productprice saleprice salesprice priceperunit unitpricecents pricecents priceincents",
        "currency": "currency currencycode curr",
        "rating": "rating stars score overall userrating ratingvalue",
        "search_term": "searchterm searchquery query searchstring keyword keywords searchphrase searchtext searchkeyword",
        "dwell_seconds": "dwellseconds dwelltime dwelltimeseconds durationseconds timespent timeonpage readtime readingtime watchtime engagementtimemsec dwellms dwelltimems durationms",
        "device": "devicetype device devicecategory devicegroup deviceclass platform",
        "os": "osname os operatingsystem operatingsystemname clientos",
        "country": "countrycode country geocountry countryiso usercountry countryname",
        "region": "region userregion georegion regioncode province",
        "referrer": "referrertype referrer referer referrersource trafficsource",
        "user_agent": "useragent ua agent httpuseragent",
    },
    "items": {
        "item_id": f"{_IDS['item_id']} id",
        "updated_at": "updatedat modifiedat lastmodified lastupdated changedat updated modified asof validfrom timestamp snapshotdate date",
        "title": "title name productname itemname articletitle headline producttitle itemtitle",
        "text": "text description body content productdescription summary abstract longdescription",
        "category": "category categorycode categoryname genre genres productcategory maincategory department section topic categoryid producttype",
        "brand": "brand brandname manufacturer vendor publisher author",
        "price": "price unitprice listprice retailprice saleprice pricecents priceincents",
        "currency": "currency currencycode",
        "launched_at": "launchedat launchdate publishedat releasedat releasedate publishdate publicationdate availablefrom createdat",
        "is_available": "isavailable available availability instock isinstock active isactive",
        "is_blocked": "isblocked blocked isdeleted deleted hidden",
    },
    "customers": {
        "user_id": f"{_IDS['user_id']} id",
        "updated_at": "updatedat modifiedat lastmodified lastupdated changedat updated modified timestamp",
        "registered_at": "registeredat registrationdate signupdate signupat signedupat createdat membersince joinedat joindate created",
        "country": "countrycode country",
        "language": "language languagecode lang locale",
        "birth_year": "birthyear yearofbirth",
    },
    "consents": {
        "user_id": f"{_IDS['user_id']} id",
        "purpose": "purpose consentpurpose consenttype purposename",
        "is_granted": "isgranted granted consent consented optin given accepted isconsented status",
        "changed_at": "changedat updatedat timestamp consentedat consentdate createdat grantedat date",
    },
}
EVENT_COLUMNS: Final = """
    event eventtype eventname action actiontype behavior behaviour behaviortype behaviourtype interactiontype interaction activity activitytype eventaction type kind verb
"""
# Values of Segment's and RudderStack's `type` that are no events; `track` calls have their names in `event`.
CALLS: Final = frozenset({"track", "page", "screen", "identify", "group", "alias"})
EVENTS: Final[dict[str, str]] = {
    "view": "view views viewed pageview pageviewed productview productviewed viewproduct itemview itemviewed viewitem viewcontent contentview articleread articleviewed articleview read "
    "detail detailview productdetailview productdetailviewed watch watched play played listen pv visit open",
    "click": "click clicks clicked productclick productclicked selectitem selectcontent itemclick clickitem articleclick articleclicked linkclick tap",
    "search": "search searches searched productssearched searchquery viewsearchresults sitesearch",
    "like": "like likes liked fav favorite favourite favorited favourited bookmark bookmarked addtowishlist addedtowishlist productaddedtowishlist wishlist save saved upvote heart follow followed",
    "share": "share shares shared productshared articleshared repost retweet",
    "comment": "comment comments commented commentcreated articlecommented reply replied",
    "rate": "rate rated rating ratings review reviewed productreviewed reviewsubmitted",
    "add_to_cart": "cart addtocart addedtocart addtobasket addtobag addcart basket atc productadded productaddedtocart cartadd",
    "remove_from_cart": "removefromcart removedfromcart removefrombasket removefrombag removecart productremoved cartremove",
    "purchase": "purchase purchases purchased buy buys bought order orders ordered ordercompleted orderplaced completeorder transaction sale checkoutcompleted paid conversion",
    "refund": "refund refunds refunded orderrefunded return returned orderreturned chargeback",
    "impression": "impression impressions impressed viewitemlist productlistviewed productimpression productimpressions listview listviewed show shown exposure display displayed",
    "ignore": "identify page screen group alias login loggedin signedin logout loggedout signedout signup signedup accountcreated register registered sessionstart sessionend "
    "firstvisit scroll userengagement heartbeat ping begincheckout checkoutstarted checkoutstepviewed checkoutstepcompleted paymentinfoentered addpaymentinfo addshippinginfo cartviewed "
    "viewcart productlistfiltered promotionviewed promotionclicked couponapplied couponentered formsubmitted",
}
TYPE_OF: Final = {word: kind for kind, words in EVENTS.items() for word in words.split()}

# Numbers written in a smaller unit than the column's: what they are multiplied by.
SMALLER_UNITS: Final = (
    ("unit_price", re.compile(r"cents?$"), "0.01"),
    ("price", re.compile(r"cents?$"), "0.01"),
    ("dwell_seconds", re.compile(r"(ms|msec|millis\w*)$"), "0.001"),
)

# Text timestamps beside ISO 8601. Where day and month can be taken for each other, the writer of the YAML is asked.
TIME_FORMATS: Final = (
    "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y", "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d/%m/%Y", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%Y",
    "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M %p", "%d-%m-%Y %H:%M:%S", "%d-%m-%Y %H:%M", "%d-%m-%Y", "%d/%m/%y %H:%M", "%m/%d/%y %H:%M", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y%m%d%H%M%S",
    "%Y%m%dT%H%M%SZ", "%Y%m%d %H:%M:%S", "%Y%m%d", "%d/%b/%Y:%H:%M:%S %z", "%a, %d %b %Y %H:%M:%S %Z", "%a %b %d %H:%M:%S %z %Y", "%d %b %Y %H:%M:%S", "%d %b %Y", "%d-%b-%Y",
    "%b %d, %Y", "%B %d, %Y",
)  # fmt: skip


def normalised(name: str) -> str:
    """`Product-Added to_Cart` -> `productaddedtocart`."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
