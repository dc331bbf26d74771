"""Word lists and spoken-number helpers for templates.py: everything is spelled out as it is said."""
import random
import re

ONES = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen").split()
TENS = "- - twenty thirty forty fifty sixty seventy eighty ninety".split()
ORDINALS = ("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
            "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth").split()
ORDINALS += ["twenty " + word for word in ORDINALS[:9]] + ["thirtieth", "thirty first"]
MONTHS = "January February March April May June July August September October November December".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
FIRST_NAMES = (
    "John Mary James Anna Peter Susan Robert Linda Michael Karen David Emily Thomas Alice George Sarah Henry Laura "
    "William Helen Charles Grace Edward Jane Paul Ruth Mark Kate Daniel Emma Steven Julia Frank Rose Martin Ellen Simon "
    "Claire Andrew Lucy Philip Diana Oliver Sophie Jack Amy Victor Nancy Walter Barbara Johnny Ben Sam Tom Harry Bill "
    "Tony Ron Alex Chris Max Dan Eric Brian Kevin Gary Jason Ryan Adam Scott Rachel Hannah Olivia Isabella Ava Mia "
    "Charlotte Amelia Evelyn Abigail Ella Lily Zoe Natalie Leah Violet Stella Lucas Mason Logan Ethan Noah Liam Jacob "
    "Nathan Caleb Isaac Luke Owen Dylan Connor Julian Aaron Eli Marcus Felix Hugo Oscar Leo Rosa Carlos Maria Jose "
    "Elena Ivan Nina Omar Layla Ahmed Fatima Ravi Priya Kenji Yuki Wei Ling Ingrid Lars Sven Freya Pierre Marie Hans "
    "Greta Luca Giulia Patrick Bridget Angela Teresa Monica Veronica Deborah Cynthia Kathleen Janet Carol Joyce "
    "Virginia Marilyn Judith Dorothy Margaret Elizabeth Jennifer Patricia Jessica Ashley Amanda Melissa Stephanie "
    "Rebecca Samantha Gregory Joshua Kenneth Timothy Ronald Jeffrey Jacob Nicholas Jonathan Stephen Larry Justin "
    "Raymond Samuel Benjamin Dennis Jerry Tyler Douglas Albert Arthur Ralph Louis Roy Bruce Wayne Alan Juan").split()
SURNAMES = (
    "Smith Johnson Brown Taylor Miller Wilson Davis Clark Lewis Walker Hall Young King Wright Hill Green Baker Adams "
    "Nelson Carter Mitchell Roberts Turner Phillips Campbell Parker Evans Edwards Collins Stewart Morris Rogers Reed "
    "Cook Morgan Bell Murphy Bailey Cooper Richardson Cox Howard Ward Peterson Gray James Watson Brooks Kelly Sanders "
    "Price Bennett Wood Barnes Ross Henderson Coleman Jenkins Perry Powell Long Patterson Hughes Washington Foster "
    "Simmons Butler Bryant Alexander Russell Griffin Hayes Myers Ford Hamilton Graham Sullivan Wallace Woods Cole West "
    "Jordan Owens Reynolds Fisher Ellis Harrison Gibson McDonald Cruz Marshall Ortiz Gomez Murray Freeman Wells Webb "
    "Simpson Stevens Tucker Porter Hunter Hicks Crawford Henry Boyd Mason Kennedy Warren Dixon Ramos Burns Gordon Shaw "
    "Holmes Rice Robertson Hunt Black Daniels Palmer Mills Nichols Grant Knight Ferguson Stone Hawkins Dunn Perkins "
    "Hudson Spencer Gardner Stephens Payne Pierce Berry Matthews Arnold Wagner Garcia Martinez Lopez Chen Patel Kim "
    "Singh Nguyen Khan Schmidt Weber Rossi Silva Larsen Novak Tanaka Sato").split()
CITIES = (
    "London Paris Chicago Boston Berlin Madrid Rome Tokyo Sydney Toronto Dublin Seattle Denver Houston Dallas Phoenix "
    "Atlanta Miami Detroit Vienna Moscow Delhi Cairo Lisbon Athens Oslo Geneva Munich Prague Amsterdam Barcelona Milan "
    "Venice Florence Naples Warsaw Budapest Stockholm Copenhagen Helsinki Brussels Zurich Edinburgh Glasgow Manchester "
    "Liverpool Oxford Cambridge Bristol Montreal Vancouver Ottawa Austin Portland Orlando Nashville Memphis Cleveland "
    "Baltimore Philadelphia Pittsburgh Honolulu Singapore Bangkok Jakarta Manila Seoul Beijing Shanghai Osaka Mumbai "
    "Nairobi Lagos Istanbul Dubai Jerusalem Melbourne Auckland Lima Santiago Havana").split()
CITIES += ["New York", "Los Angeles", "San Francisco", "San Diego", "Las Vegas", "Hong Kong", "Mexico City",
           "Buenos Aires", "Cape Town", "New Orleans", "Salt Lake City"]
COUNTRIES = (
    "England Scotland Ireland Wales France Germany Spain Italy Portugal Greece Norway Sweden Denmark Finland Poland "
    "Austria Hungary Switzerland Belgium Holland Russia China Japan Korea India Egypt Kenya Morocco Turkey Israel Canada "
    "Mexico Brazil Argentina Chile Peru Cuba Australia Thailand Vietnam Indonesia Iceland Jamaica Nepal").split()
COUNTRIES += ["New Zealand", "South Africa", "the United States", "the Netherlands", "the Philippines"]
ADJECTIVES = (
    "big small red blue green old new warm cold quiet loud bright dark heavy light fast slow clean dirty strange "
    "beautiful ugly happy sad tired hungry rich poor strong weak young tall short long wide narrow deep simple difficult "
    "important famous empty full broken fresh gentle angry careful honest clever foolish expensive cheap delicious "
    "ancient modern wooden golden silver purple yellow orange huge tiny round square wonderful terrible dangerous safe "
    "useful useless friendly lonely patient polite rude brave shy curious nervous proud serious funny boring exciting "
    "comfortable crowded dusty elegant fragile generous graceful harmless jealous lucky mysterious noisy ordinary "
    "peaceful perfect popular precious rare rough smooth sharp soft sour sweet steep tender thick thin rusty").split()
NOUNS = (
    "house car dog cat table chair window door book letter phone computer street garden river mountain tree flower bird "
    "horse train bus plane ship bridge school church hospital office kitchen bedroom bottle glass plate knife spoon hat "
    "coat shoe shirt watch clock picture camera song story movie game ball box bag key lamp candle fire stone field "
    "forest lake ocean island village city farm market shop doctor teacher farmer soldier sailor lawyer nurse driver "
    "writer painter friend neighbor child boy girl man woman baby brother sister mother father uncle aunt king queen "
    "apple banana sandwich cake pizza carrot onion potato tomato melon dictionary newspaper magazine ticket passport "
    "suitcase umbrella wallet blanket pillow mirror ladder hammer bucket basket engine wheel bicycle motorcycle truck "
    "tractor airport station museum library theater restaurant hotel castle tower temple palace garage basement attic "
    "ceiling carpet curtain drawer envelope fountain guitar piano violin trumpet drum helmet jacket sweater button "
    "necklace ring bracelet diamond coin statue painting photograph telescope microscope satellite rocket robot keyboard "
    "screen printer battery cable speaker engineer scientist student professor president manager customer passenger "
    "pilot captain detective musician actor dancer butcher carpenter plumber mechanic rabbit squirrel tiger lion elephant "
    "monkey turtle whale dolphin eagle sparrow spider butterfly beetle").split()
# (base, past, third person): verbs that take a thing as their object
VERBS = [tuple(entry.split("/")) for entry in (
    "see/saw find/found take/took bring/brought open/opened close/closed move/moved carry/carried break/broke fix/fixed "
    "clean/cleaned wash/washed paint/painted buy/bought sell/sold watch/watched follow/followed remember/remembered "
    "forget/forgot help/helped keep/kept lose/lost leave/left meet/met visit/visited call/called answer/answered ask/asked "
    "show/showed send/sent build/built cut/cut throw/threw catch/caught push/pushed pull/pulled hold/held drop/dropped "
    "lift/lifted turn/turned start/started stop/stopped finish/finished try/tried use/used need/needed want/wanted "
    "like/liked love/loved hate/hated borrow/borrowed return/returned repair/repaired replace/replaced check/checked "
    "choose/chose collect/collected cover/covered describe/described discover/discovered draw/drew enjoy/enjoyed "
    "examine/examined explain/explained grab/grabbed hide/hid ignore/ignored improve/improved inspect/inspected "
    "measure/measured notice/noticed order/ordered photograph/photographed polish/polished prepare/prepared "
    "protect/protected recognize/recognized recommend/recommended reach/reached save/saved search/searched "
    "share/shared steal/stole store/stored study/studied test/tested touch/touched trust/trusted understand/understood "
    "wrap/wrapped write/wrote").split()]
DEVICES = ("kitchen light;bedroom lamp;radio;television;heater;fan;alarm;music;air conditioner;front door light;"
           "garage door;camera;microphone;speaker;computer;printer;phone;washing machine;oven;coffee machine;"
           "porch light;dishwasher;living room light;thermostat;sprinkler").split(";")
WEATHER = "rain;snow;be sunny;be cloudy;be windy;be foggy;be hot;be cold;be warm;freeze;thunder;clear up".split(";")
SKY = ("sunny;cloudy;windy;foggy;stormy;clear;dry;wet;humid;mild;freezing;partly cloudy;mostly sunny;"
       "cold and wet;warm and dry;hot and humid").split(";")
SOFTWARE = ("program;function;variable;database;server;network;compiler;website;browser;password;keyboard;"
            "test;branch;commit;bug report;release;memory;processor;thread;cache;buffer;file;folder;backup;license;"
            "script;library;module;interface;model;encoder;decoder;token;driver;kernel;patch;queue;socket;request;"
            "response;screen;terminal;account;update;download;message;pull request;configuration;documentation").split(";")
SOFTWARE_VERBS = ("build;test;compile;install;remove;update;restart;download;upload;merge;review;debug;document;"
                  "deploy;delete;rename;copy;check;open;close;save;share;print;replace;rewrite").split(";")


def number(n: int, rng: random.Random) -> str:
    """n in words, 'and' after the hundreds sometimes."""
    if n < 20:
        return ONES[n]
    if n < 100:
        return TENS[n // 10] + ("" if n % 10 == 0 else " " + ONES[n % 10])
    if n < 1000:
        joint = " and " if rng.random() < 0.4 else " "
        return ONES[n // 100] + " hundred" + ("" if n % 100 == 0 else joint + number(n % 100, rng))
    unit, name = (1_000, "thousand") if n < 1_000_000 else (1_000_000, "million")
    rest = n % unit
    return number(n // unit, rng) + " " + name + ("" if rest == 0 else " " + number(rest, rng))


def digits(count: int, rng: random.Random) -> str:
    return " ".join(rng.choice(ONES[:10]) for _ in range(count))


def year(rng: random.Random) -> str:
    form = rng.randrange(5)
    if form == 0:
        return "two thousand " + rng.choice(["", "and "]) + number(rng.randint(1, 19), rng)
    century = ["", "nineteen", "twenty", "eighteen", "seventeen"][form]
    return century + " " + number(rng.randint(10, 99 if form != 2 else 40), rng)


def clock_time(rng: random.Random) -> str:
    hour = rng.randint(1, 12)
    minute = rng.choice([0, 0, 5, 10, 15, 20, 25, 30, 30, 35, 40, 45, 50, 55, rng.randint(1, 59)])
    spoken = rng.random() < 0.4
    if minute == 0:
        text = number(hour, rng) + rng.choice([" o'clock", ""])
    elif minute == 30 and spoken:
        text = "half past " + number(hour, rng)
    elif minute in (15, 45) and spoken:
        text = ("a quarter past " if minute == 15 else "a quarter to ") + number(hour, rng)
    elif minute < 10:
        text = number(hour, rng) + " oh " + number(minute, rng)
    else:
        text = number(hour, rng) + " " + number(minute, rng)
    return text + rng.choice(["", "", " in the morning", " in the afternoon", " in the evening", " at night"])


def date(rng: random.Random) -> str:
    day = rng.choice(ORDINALS)
    text = rng.choice([f"{rng.choice(MONTHS)} {day}", f"{rng.choice(MONTHS)} the {day}",
                       f"the {day} of {rng.choice(MONTHS)}"])
    return text + (", " + year(rng) if rng.random() < 0.3 else "")


def money(rng: random.Random) -> str:
    amount = number(rng.choice([rng.randint(2, 99), rng.randint(2, 999), rng.randint(1, 90) * 1000]), rng)
    text = amount + rng.choice([" dollars", " dollars", " euros", " pounds"])
    return text + (" and " + number(rng.randint(2, 99), rng) + " cents" if rng.random() < 0.2 else "")


def a_to_an(text: str) -> str:
    """'a apple' -> 'an apple'."""
    return re.sub(r"\b([Aa]) (?=[aeiouAEIOU])", r"\1n ", text)


def plural(noun: str) -> str:
    if re.search(r"(s|x|z|ch|sh)$", noun):
        return noun + "es"
    if re.search(r"[^aeiou]y$", noun):
        return noun[:-1] + "ies"
    irregular = {"man": "men", "woman": "women", "child": "children", "knife": "knives"}
    return irregular.get(noun, noun + "s")
