"""Everyday sentences made from templates: times, dates, money, names, places, commands, questions, meetings, weather,
travel, software and telephone talk. They carry the vocabulary of the demo that old books lack."""
import random
import re

import lexicon as lx

GREETINGS = ("how are you?;nice to meet you.;good morning.;where are you going?;what happened?;are you there?;"
             "can you hear me?;welcome back.;see you tomorrow.;thank you for calling.;how was your day?").split(";")
REPLIES = ("I know;I see;that is right;thank you very much;of course;I will do it;I am coming;it is true;never mind;"
           "go ahead;wait a minute;come here;let us go;I understand;not now;maybe later;I don't think so;"
           "I can't hear you;that sounds good;I am not sure;you are right;it doesn't matter;we should go").split(";")
SHORT = ("Stop;Wait;Go;Come here;Help;Listen;Look;Run;Stay;Sit down;Stand up;Be quiet;Hurry up;Good night;Good morning;"
         "Goodbye;Thank you;You are welcome;Excuse me;I am sorry;Never mind;Not yet;All right;Of course;Keep going;"
         "Shut the door;Come on;I know;Yes;No;Okay;Hello;Please;Maybe;Sure;Right;Exactly;Really;Thanks;Again;Next;Back;"
         "Cancel;Continue;Pause;Repeat;Louder;Left;Right;Up;Down;Open;Close").split(";")
PLACES = ("the office;the airport;the station;the museum;the library;the restaurant;the hotel;the park;the beach;school;"
          "the hospital;the bank;the post office;the supermarket;the conference room;the coffee shop;the theater").split(";")
EVENTS = ("meeting;appointment;party;concert;lecture;interview;lesson;exam;conference;wedding;lunch;dinner;game;show;"
          "flight;presentation;review;ceremony;rehearsal;call").split(";")
RELATIVES = ("mother;father;sister;brother;aunt;uncle;cousin;grandmother;grandfather;son;daughter;wife;husband;friend;"
             "boss;neighbor;teacher;doctor").split(";")
WHEN_PAST = "yesterday;last night;this morning;last week;a long time ago;two days ago;last year;an hour ago".split(";")
WHEN_FUTURE = "tomorrow;tonight;next week;soon;later;as soon as possible;this afternoon;in a few minutes".split(";")
FEELINGS = "tired;hungry;thirsty;happy;sad;angry;sick;cold;bored;busy;late;ready;sorry;surprised;worried;afraid".split(";")
FOODS = ("coffee;tea;milk;water;orange juice;bread;butter;cheese;chicken soup;rice;fish;a salad;an apple pie;"
         "a sandwich;scrambled eggs;ice cream;spaghetti;a piece of cake;strawberries;mashed potatoes").split(";")
SUBJECT_PRONOUNS = "I;you;we;they;he;she".split(";")


class Templates:
    """Draws sentences. Words from a lexical database widen what the templates can say."""

    def __init__(self, rng: random.Random, nouns: list[str], proper: list[str], adjectives: list[str], verbs: list[str]):
        self.rng, self.nouns, self.proper, self.adjectives, self.verbs = rng, nouns, proper, adjectives, verbs
        self.groups = [self.clock, self.numbers, self.people, self.things, self.home, self.weather, self.travel,
                       self.software, self.talk, self.vocabulary, self.meeting, self.everyday]
        self.weights = [10, 9, 10, 14, 6, 10, 9, 9, 7, 24, 9, 9]

    def sentence(self) -> str:
        text = self.rng.choices(self.groups, self.weights)[0]()
        text = re.sub(r"\s+", " ", lx.a_to_an(text)).strip()
        return text[0].upper() + text[1:]

    def pick(self, options):
        return self.rng.choice(options)

    # Phrases -----------------------------------------------------------------------------------------------------

    def person(self) -> str:
        if self.rng.random() < 0.12:
            return self.pick(["Mr. ", "Mrs. ", "Dr. "]) + self.pick(lx.SURNAMES)
        return self.pick(lx.FIRST_NAMES) + (" " + self.pick(lx.SURNAMES) if self.rng.random() < 0.4 else "")

    def thing(self) -> str:
        owner = self.pick("the;a;this;that;my;your;his;her;our;their;every;another".split(";"))
        adjective = self.pick(lx.ADJECTIVES) + " " if self.rng.random() < 0.5 else ""
        return f"{owner} {adjective}{self.pick(lx.NOUNS)}"

    def place(self) -> str:
        return self.pick([self.pick(lx.CITIES), self.pick(lx.COUNTRIES), self.pick(lx.CITIES)])

    def any_number(self) -> str:
        return lx.number(self.rng.randint(0, self.pick([20, 100, 1000, 10_000, 1_000_000])), self.rng)

    def count(self, most: int = 40) -> str:
        return lx.number(self.rng.randint(2, most), self.rng)

    def time(self) -> str:
        return lx.clock_time(self.rng)

    # Sentences ---------------------------------------------------------------------------------------------------

    def clock(self) -> str:
        time, other, day = self.time(), self.time(), self.pick(lx.DAYS)
        return self.pick([
            f"{time}.", f"It is {time}.", f"What time is it in {self.pick(lx.CITIES)}?", f"Set an alarm for {time}.",
            f"Set a timer for {self.count(90)} {self.pick(['minutes', 'seconds', 'hours'])}.", f"Wake me up at {time}.",
            f"The shop opens at {time} and closes at {other}.", f"Today is {day}, {lx.date(self.rng)}.",
            f"We have lunch at {time}.", f"I will be back by {time}.", f"On {day}s I get up at {time}.",
            f"The {self.pick(EVENTS)} lasts {self.count(12)} hours.", f"Her birthday is on {lx.date(self.rng)}.",
            f"How many days are there until {lx.date(self.rng)}?", f"{self.person()} was born on {lx.date(self.rng)}.",
            f"It happened in {lx.year(self.rng)}.", f"The {self.pick(lx.NOUNS)} was built in {lx.year(self.rng)}.",
            f"{lx.date(self.rng)}.", f"It takes about {self.count(55)} minutes."])

    def numbers(self) -> str:
        rng = self.rng
        return self.pick([
            f"{lx.digits(rng.randint(2, 8), rng)}.", f"{self.any_number()}.", f"The answer is {self.any_number()}.",
            f"{self.any_number()} {self.pick(['plus', 'minus', 'times'])} {self.any_number()} is {self.any_number()}.",
            f"My phone number is {lx.digits(self.pick([7, 10]), rng)}.",
            f"Call {self.person()} at {lx.digits(self.pick([3, 4, 7, 10]), rng)}.", f"It costs {lx.money(rng)}.",
            f"I paid {lx.money(rng)} for {self.thing()}.", f"The total is {lx.money(rng)}, please.",
            f"The room number is {lx.digits(3, rng)}.", f"Turn to page {lx.number(rng.randint(2, 600), rng)}.",
            f"There are {self.any_number()} {lx.plural(self.pick(lx.NOUNS))} in the {self.pick(lx.NOUNS)}.",
            f"About {self.count(99)} percent of the {lx.plural(self.pick(lx.NOUNS))} are {self.pick(lx.ADJECTIVES)}.",
            f"The temperature is {lx.number(rng.randint(2, 99), rng)} degrees.", f"She won {lx.money(rng)}.",
            f"He is {lx.number(rng.randint(5, 99), rng)} years old.", f"It is {self.count(900)} miles away.",
            f"What is {self.count(99)} {self.pick(['plus', 'minus', 'times', 'divided by'])} {self.count(99)}?"])

    def people(self) -> str:
        first, second, relative = self.person(), self.person(), self.pick(RELATIVES)
        city = self.pick(lx.CITIES)
        return self.pick([
            f"{first}.", f"My name is {first}.", f"My name is {first}, and I live in {city}.", f"Call my {relative}.",
            f"{first} and {second} are friends.", f"Have you met {first}?", f"This is {first} from {city}.",
            f"Send a message to {first}.", f"Tell {first} that I am {self.pick(FEELINGS)}.", f"Is {first} at home?",
            f"{first} lives near {second}.", f"{first} moved to {self.place()} in {lx.year(self.rng)}.",
            f"I have known {first} since {lx.year(self.rng)}.", f"Please ask {first} to call {second}.",
            f"My {relative} is {self.pick(FEELINGS)} because of {second}.", f"{first} is my {relative}.",
            f"Who is {first}?", f"Dear {first}, thank you for your letter.", f"{first} married {second}.",
            f"I talked to {first} about {second} {self.pick(WHEN_PAST)}."])

    def things(self) -> str:
        base, past = self.pick(lx.VERBS)
        other_base, other_past = self.pick(lx.VERBS)
        thing, other, who = self.thing(), self.thing(), self.pick([self.person(), *"I;we;they;he;she".split(";")])
        return self.pick([
            f"{who} {past} {thing}.", f"{who} {past} {thing} and {other_past} {other}.", f"Did you {base} {thing}?",
            f"{who} {past} {thing} {self.pick(WHEN_PAST)}.", f"We will {base} {thing} {self.pick(WHEN_FUTURE)}.",
            f"{thing} is {self.pick(['very ', 'too ', 'not ', 'quite ', 'so ', ''])}{self.pick(lx.ADJECTIVES)}.",
            f"Why did {self.person()} {base} {thing}?", f"Don't {base} {thing}.", f"Let's {base} {thing}.",
            f"You shouldn't {base} {thing} without {other}.", f"{thing} is on the {self.pick(lx.NOUNS)}.",
            f"If you {base} {thing}, I will {other_base} {other}.", f"Could you please {base} {thing}?",
            f"He said that {thing} was {self.pick(lx.ADJECTIVES)}, but {other} was {self.pick(lx.ADJECTIVES)}.",
            f"{who} tried to {base} {thing} before {self.time()}.", f"Where is {thing}?", f"I can't {base} {thing}.",
            f"There is {self.pick(['a', 'the'])} {self.pick(lx.NOUNS)} behind {thing}.",
            f"The {self.pick(lx.NOUNS)} and the {self.pick(lx.NOUNS)} {past} {thing} together."])

    def home(self) -> str:
        device, other = self.pick(lx.DEVICES), self.pick(lx.DEVICES)
        switch = self.pick(["on", "off"])
        return self.pick([
            f"Turn {switch} the {device}.", f"Please turn {switch} the {device}, {self.pick(lx.FIRST_NAMES)}.",
            f"Turn the {device} {self.pick(['up', 'down'])}.", f"Is the {device} still {switch}?",
            f"Turn {switch} the {device} and the {other}.", f"Turn {switch} the {device} at {self.time()}.",
            f"Play {self.pick(['some music', 'the next song', 'the last song', 'the radio', 'that song again'])}.",
            f"Set the {device} to {self.count(99)}.", f"Did you leave the {device} {switch}?", f"Open the {device}.",
            f"Add {self.pick(FOODS)} to the shopping list.", f"Lock the door and turn off the {device}."])

    def weather(self) -> str:
        place, when = self.place(), self.pick(WHEN_FUTURE[:3] + ["today"] + ["on " + day for day in lx.DAYS])
        weather, sky = self.pick(lx.WEATHER), self.pick(lx.SKY)
        return self.pick([
            f"What is the weather in {place} {when}?", f"What is the weather like in {place} {when}?",
            f"Will it {weather} in {place} {when}?", f"Will it {weather} {when}?", f"It will {weather} {when}.",
            f"It is {sky} in {place} today.", f"The weather in {place} is {sky}.", f"Do I need an umbrella {when}?",
            f"How {self.pick(['hot', 'cold', 'warm', 'windy'])} is it in {place}?", f"Tomorrow will be {sky}.",
            f"The forecast says it will {weather} at {self.time()}.", f"How is the weather in {place} {when}?",
            f"It {self.pick(['rained', 'snowed', 'was windy'])} in {place} {self.pick(WHEN_PAST)}.",
            f"{when} will be {sky} with a high of {self.count(99)} degrees.", f"I hope it will {weather} {when}.",
            f"The temperature in {place} is {self.count(99)} degrees.", f"What a {sky} day it is."])

    def travel(self) -> str:
        here, there, time = self.pick(lx.CITIES), self.place(), self.time()
        vehicle = self.pick("train;bus;plane;ship;boat;taxi;ferry;flight".split(";"))
        return self.pick([
            f"The {vehicle} to {there} leaves at {time}.", f"The {vehicle} from {here} arrives at {time}.",
            f"How far is it from {here} to {there}?", f"How do I get to {self.pick(PLACES)}?", f"I live in {here}.",
            f"Two tickets to {there}, please.", f"We drove from {here} to {there} {self.pick(WHEN_PAST)}.",
            f"Have you ever been to {there}?", f"Is there a direct {vehicle} to {there}?", f"Take me to {here}.",
            f"The {vehicle} to {there} is {self.count(50)} minutes late.", f"Book a room in {here} for {self.count(9)} nights.",
            f"Turn {self.pick(['left', 'right'])} at the {self.pick(lx.NOUNS)}.", f"I am flying to {there} on {lx.date(self.rng)}.",
            f"Where is the nearest {self.pick(lx.NOUNS)}?", f"My {self.pick(RELATIVES)} comes from {there}.",
            f"The capital of the country is {here}.", f"{there} is more {self.pick(['beautiful', 'crowded'])} than {here}."])

    def software(self) -> str:
        item, other, verb = self.pick(lx.SOFTWARE), self.pick(lx.SOFTWARE), self.pick(lx.SOFTWARE_VERBS)
        return self.pick([
            f"Please {verb} the {item}.", f"The {item} is too {self.pick(['slow', 'large', 'small', 'old', 'complicated'])}.",
            f"The {item} sends a {other} to the server.", f"How do I {verb} the {item}?", f"We have to {verb} every {item}.",
            f"The {item} needs more memory.", f"Don't {verb} the {item} before the {other} is ready.",
            f"There is an error in the {item}.", f"The new {item} is {self.count(20)} times faster.",
            f"I will {verb} the {item} {self.pick(WHEN_FUTURE)}.", f"{self.person()} wrote the {item} in {lx.year(self.rng)}.",
            f"The {item} crashed {self.pick(WHEN_PAST)}.", f"This {item} runs on {self.count(64)} computers.",
            f"The speech recognition model writes down every word.", f"Open the {item} and {verb} the {other}.",
            f"The {item} reads the {other} and writes a {self.pick(lx.SOFTWARE)}.", f"Which {item} did you {verb}?"])

    def talk(self) -> str:
        name = self.pick(lx.FIRST_NAMES)
        opener = self.pick("Yes;No;Okay;Well;Oh;Right;Sure;Thanks;Sorry".split(";"))
        return self.pick([
            f"Hello {name}, {self.pick(GREETINGS)}", f"{opener}, {self.pick(REPLIES)}.", f"{self.pick(REPLIES)}.",
            f"{self.pick(SHORT)}{self.pick('..!')}", f"{self.pick(SHORT)}, {name}.", f"{self.pick(SHORT)}.",
            f"Please {self.pick(['enter', 'say', 'repeat', 'dial'])} {self.pick(['your account number', 'your name', 'the number', 'the extension'])} "
            f"{self.pick(['now', 'after the tone', 'again', 'followed by the star key'])}.",
            f"Hello, this is {name} speaking.", f"I am {self.pick(FEELINGS)}.", f"Are you {self.pick(FEELINGS)}, {name}?",
            f"{opener}, {self.pick(REPLIES)}, {name}."])

    def vocabulary(self) -> str:
        noun, other, proper = self.pick(self.nouns), self.pick(self.nouns), self.pick(self.proper)
        adjective, verb = self.pick(self.adjectives), self.pick(self.verbs)
        return self.pick([
            f"{noun}.", f"What is the meaning of {noun}?", f"How do you spell {noun}?", f"I read a book about {noun}.",
            f"The word was {noun}, not {other}.", f"He showed me the {adjective} {noun}.", f"{noun} and {other}.",
            f"{self.person()} knows a lot about {noun}.", f"It was a {adjective} {noun}.", f"She is rather {adjective}.",
            f"What is the difference between {noun} and {other}?", f"There was no {noun} in the {other}.",
            f"They spoke about {proper}.", f"Tell me more about {proper}.", f"Have you heard of {proper}?",
            f"{proper} is mentioned in the {noun}.", f"The {noun} seemed {adjective}.", f"{proper}.",
            f"They want to {verb} the {noun}.", f"You can {verb} it with a {noun}.", f"The {adjective} {noun} will {verb}.",
            f"Why is the {noun} so {adjective}?", f"The {noun} of the {other} is {adjective}."])

    def meeting(self) -> str:
        event, day, time, place = self.pick(EVENTS), self.pick(lx.DAYS), self.time(), self.pick(PLACES)
        return self.pick([
            f"The {event} is on {day} at {time}.", f"The {event} starts at {time}.", f"When is the {event}?",
            f"The {event} has been moved to {day} at {time}.", f"The {event} with {self.person()} is on {lx.date(self.rng)}.",
            f"Let's meet at {place} at {time}.", f"Can we meet on {day} at {time}?", f"I will see you at {place} on {day}.",
            f"Schedule a {event} with {self.person()} for {day} at {time}.", f"Cancel the {event} on {day}.",
            f"Remind me of the {event} at {time}.", f"Do you have time for a {event} on {day}?",
            f"Remind me to {self.pick(lx.VERBS)[0]} {self.thing()} on {day}.", f"Who is coming to the {event} on {day}?",
            f"The {event} in {self.pick(lx.CITIES)} was {self.pick(lx.ADJECTIVES)}.", f"We are late for the {event}."])

    def everyday(self) -> str:
        who, food, place, relative = self.pick(SUBJECT_PRONOUNS), self.pick(FOODS), self.pick(PLACES), self.pick(RELATIVES)
        return self.pick([
            f"Would you like {food} or {self.pick(FOODS)}?", f"I would like {food}, please.", f"We ran out of {food}.",
            f"My {relative} went to {place} {self.pick(WHEN_PAST)}.", f"{who} had {food} for breakfast.",
            f"I am going to {place} with my {relative}.", f"My {relative} likes {food}.", f"{who} used to work at {place}.",
            f"Where did you put the {self.pick(lx.NOUNS)}?", f"The {self.pick(lx.NOUNS)} at {place} is closed on {self.pick(lx.DAYS)}s.",
            f"I think my {relative} is {self.pick(FEELINGS)}.", f"How much is the {self.pick(lx.NOUNS)}?",
            f"The children are playing in the {self.pick(lx.NOUNS)}.", f"{who} never liked {food}.",
            f"What did you do {self.pick(WHEN_PAST)}?", f"I haven't seen my {relative} since {self.pick(lx.DAYS)}.",
            f"Can you help my {relative} with the {self.pick(lx.NOUNS)}?", f"It's cold outside, so take your {self.pick(lx.NOUNS)}."])
