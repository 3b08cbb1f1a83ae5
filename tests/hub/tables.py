"""Small data sets with the columns and label names of the book's."""

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from datasets import (
    ClassLabel,
    Dataset,
    DatasetDict,
    Features,
    List,
    Value,
    concatenate_datasets,
)

from hub.server import Repository
from utils.assets.datasets import COARSE, load

EMOTIONS = {  # label: (share of the texts in %, words that give it away)
    "sadness": (29, "gloomy lonely hopeless miserable unwelcome"),
    "joy": (34, "cheerful delighted thankful eager carefree"),
    "love": (8, "tender adored caring devoted beloved"),
    "anger": (13, "furious bitter offended annoyed resentful"),
    "fear": (12, "anxious shaken nervous terrified uneasy"),
    "surprise": (4, "amazed stunned astonished curious dazed"),
}
SIZES = {"train": 2_400, "validation": 400, "test": 400}
INTENTS = """
restaurant_reviews nutrition_info account_blocked oil_change_how time weather redeem_rewards
interest_rate gas_type accept_reservations smart_home user_name report_lost_card repeat
whisper_mode what_are_your_hobbies order jump_start schedule_meeting meeting_schedule
freeze_account what_song meaning_of_life restaurant_reservation traffic make_call text
bill_balance improve_credit_score change_language no measurement_conversion timer flip_coin
do_you_have_pets balance tell_joke last_maintenance exchange_rate uber car_rental credit_limit oos
shopping_list expiration_date routing meal_suggestion tire_change todo_list card_declined
rewards_balance change_accent vaccines reminder_update food_last change_ai_name bill_due
who_do_you_work_for share_location international_visa calendar translate carry_on book_flight
insurance_change todo_list_update timezone cancel_reservation transactions credit_score
report_fraud spending_history directions spelling insurance what_is_your_name reminder
where_are_you_from distance payday flight_status find_phone greeting alarm order_status
confirm_reservation cook_time damaged_card reset_settings pin_change replacement_card_duration
new_card roll_dice income taxes date who_made_you pto_request tire_pressure how_old_are_you
rollover_401k pto_request_status how_busy application_status recipe calendar_update play_music yes
direct_deposit credit_limit_change gas pay_bill ingredients_list lost_luggage goodbye
what_can_i_ask_you book_hotel are_you_a_bot next_song change_speed plug_type maybe w2
oil_change_when thank_you shopping_list_update pto_balance order_checks travel_alert fun_fact
sync_device schedule_maintenance apr transfer ingredient_substitution calories current_location
international_fees calculator definition next_holiday update_playlist mpg min_payment
change_user_name restaurant_suggestion travel_notification cancel pto_used travel_suggestion
change_volume
"""
OUT_OF_SCOPE = "oos"
COMMANDS = {"train": (10, 25), "validation": (2, 10), "test": (3, 60)}  # of an intent, and of none
ENTITIES = {
    "PER": [
        *("Anna Bergmann", "Luca Ferrante", "Marie Delcourt", "John Ashworth", "Petra Hofstetter"),
        *("Giulia Montanari", "Étienne Marchal", "Emily Carrow", "Karl-Heinz Vogt", "Paolo Brandi"),
        *("Sophie de Vaux", "William Thorne", "Ursula von Hagen", "Rosa", "Bertrand", "Octavia"),
    ],
    "ORG": [
        *("FC Lindental", "Nordbahn AG", "Universität Bern", "SV Aarfeld", "Teatro Moderno"),
        *("Université de Genève", "Banca Ticinese", "AC Valmara", "Olympique Verneuil", "Veltrix"),
        *("Royal Harbour Company", "Northfield United", "Orchestre de la Broye", "Museo Civico"),
    ],
    "LOC": [
        *("Zürich", "Basel", "Kanton Uri", "Deutschland", "Wien", "Lac Léman", "Neuchâtel"),
        *("Frankreich", "Ticino", "Lago Maggiore", "Italia", "Torino", "London", "New England"),
        *("River Severn", "Lyon", "Bellinzona", "Cornwall"),
    ],
}
FRAMES = {  # of sentences of Wikipedia, titles and redirections among them
    "de": [
        *("{PER} wurde in {LOC} geboren .", "Er spielte bis 1987 für den {ORG} .", "{LOC}"),
        *("Der Sitz der {ORG} ist in {LOC} .", "WEITERLEITUNG {PER}", "{PER} ( * 1951 )"),
        *("Die Stadt liegt zwischen {LOC} und {LOC} .", "Sie lehrte an der '' {ORG} '' ."),
    ],
    "fr": [
        *("{PER} est née à {LOC} en 1923 .", "Il rejoint ensuite le club de {ORG} .", "{LOC}"),
        *("Le siège de {ORG} se trouve à {LOC} .", "REDIRECTION {PER}", "'' {ORG} ''"),
        *("Elle est l' épouse de {PER} .", "La commune se situe entre {LOC} et {LOC} ."),
    ],
    "it": [
        *("{PER} nacque a {LOC} nel 1904 .", "Ha giocato con la maglia della {ORG} .", "{LOC}"),
        *("La sede di {ORG} si trova a {LOC} .", "RINVIA {PER}", "{PER} ( storico )"),
        *("Il film è diretto da {PER} .", "Fu fondata dalla {ORG} di {LOC} ."),
    ],
    "en": [
        *("{PER} was born in {LOC} .", "He joined {ORG} the following season .", "{LOC}"),
        *("The {ORG} moved its offices to {LOC} .", "REDIRECT {PER}", "{ORG} ( disambiguation )"),
        *("It was written by {PER} and {PER} .", "The road runs from {LOC} to {LOC} ."),
    ],
}
ENTITY_ROWS = {"train": 400, "validation": 200, "test": 200}


def parquet(configs: Mapping[str, DatasetDict]) -> Repository:
    """One parquet file for each split of each configuration, which the card names."""
    files, card = {}, "---\nconfigs:\n"
    for config, data in configs.items():
        card += f"- config_name: {config}\n  data_files:\n"
        for split, rows in data.items():
            card += f"  - split: {split}\n    path: {config}/{split}-*\n"
            files[f"{config}/{split}-00000-of-00001.parquet"] = _bytes(rows)
    return Repository("dataset", {"README.md": f"{card}---\n".encode(), **files})


def converted_parquet(data: DatasetDict) -> Repository:
    """What the hub makes of a data set that is a script, on a branch of its own."""
    files = {f"default/{split}/0000.parquet": _bytes(rows) for split, rows in data.items()}
    return Repository("dataset", files, branch="refs/convert/parquet")


def emotions() -> DatasetDict:
    """Sentences with six unbalanced emotions: invented, filled up with words from questions."""
    words = _words()
    features = Features(text=Value("string"), label=ClassLabel(names=[*EMOTIONS]))
    return DatasetDict(
        {
            split: Dataset.from_list([*_feelings(size, words, random.Random(split))], features)
            for split, size in SIZES.items()
        }
    )


def questions() -> DatasetDict:
    """The packaged questions, in the splits and under the label names of the original."""
    data = load("questions")
    train = concatenate_datasets([data["train"], data["validation"]])
    original = DatasetDict(train=train, test=data["test"])
    return original.cast_column("coarse_label", ClassLabel(names=[*COARSE]))


def articles() -> DatasetDict:
    """The packaged introductions in English; all in train."""
    data = load("wiki")["train"]
    english = [row for row, language in enumerate(data["language"]) if language == "en"]
    return DatasetDict(train=data.select(english).select_columns(["title", "text"]))


def news() -> DatasetDict:
    """The packaged papers in the place of the news."""
    data = load("papers").select_columns(["document", "summary", "id"])
    return data.rename_columns({"document": "article", "summary": "highlights"})


def squad() -> DatasetDict:
    """Some of the packaged questions on passages, in the splits of the original."""
    data = load("squad")
    train = concatenate_datasets([data["test"], data["train"].select(range(400))])
    return DatasetDict(train=train, validation=data["validation"].select(range(200)))


def reviews() -> DatasetDict:
    """The packaged reviews, in the splits of the original."""
    data = load("reviews")
    train = concatenate_datasets([data["train"], data["validation"]])
    return DatasetDict(train=train, test=data["test"], unsupervised=data["test"])


def dialogues() -> DatasetDict:
    """Some of the packaged chats, with the first turn as the summary."""
    data = load("conversations").select_columns(["id", "dialogue"])
    some = DatasetDict({split: rows.select(range(100)) for split, rows in data.items()})
    return some.map(lambda chat: {"summary": chat["dialogue"].partition("\n")[0]})


def commands() -> DatasetDict:
    """Commands that name their intent and others out of scope, filled up as above."""
    words, intents = _words(), INTENTS.split()
    features = Features(text=Value("string"), intent=ClassLabel(names=intents))
    return DatasetDict(
        {
            split: Dataset.from_list(
                [
                    _command(intent, words, rng)
                    for intent in intents
                    for _ in range(unknown if intent == OUT_OF_SCOPE else known)
                ],
                features,
            )
            for split, (known, unknown) in COMMANDS.items()
            for rng in [random.Random(split)]
        }
    )


def entities() -> dict[str, DatasetDict]:
    """Invented sentences with persons, organisations and places, by configuration."""
    tags = ["O", *(f"{place}-{kind}" for kind in ENTITIES for place in "BI")]
    words = List(Value("string"))
    features = Features(tokens=words, ner_tags=List(ClassLabel(names=tags)), langs=words)
    return {
        f"PAN-X.{language}": DatasetDict(
            {
                split: Dataset.from_list(
                    [_entity_row(rng.choice(frames), language, rng) for _ in range(size)], features
                )
                for split, size in ENTITY_ROWS.items()
                for rng in [random.Random(f"{language} {split}")]
            }
        )
        for language, frames in FRAMES.items()
    }


def modules() -> DatasetDict:
    """Some of the packaged Python modules, with further columns as on the hub; all in train."""
    data = load("code")["train"].select(range(400))
    return DatasetDict(
        train=data.map(lambda row: {"copies": "1", "size": str(len(row["content"]))})
    )


def _words() -> list[str]:
    """All words of the packaged questions, the frequent ones often."""
    return " ".join(load("short_texts")["train"]["text"][:]).lower().split()


def _command(intent: str, words: list[str], rng: random.Random) -> dict[str, str]:
    name = [] if intent == OUT_OF_SCOPE else intent.split("_")
    return {
        "text": " ".join([*name, *rng.choices(words, k=rng.randint(3, 8))]),
        "intent": intent,
    }


def _entity_row(frame: str, language: str, rng: random.Random) -> dict[str, list[str]]:
    """The words of a frame, each "{KIND}" replaced with a name, and their IOB2 tags."""
    tokens, tags = [], []
    for word in frame.split():
        kind = word.strip("{}")
        name = rng.choice(ENTITIES[kind]).split() if kind in ENTITIES else []
        tokens += name or [word]
        tags += [f"B-{kind}", *[f"I-{kind}"] * (len(name) - 1)] if name else ["O"]
    return {"tokens": tokens, "ner_tags": tags, "langs": [language] * len(tokens)}


def _feelings(size: int, words: list[str], rng: random.Random) -> Iterator[dict[str, str]]:
    shares = [share for share, _ in EMOTIONS.values()]
    for label in rng.choices([*EMOTIONS], shares, k=size):
        feeling = rng.choice(EMOTIONS[label][1].split())
        rest = rng.choices(words, k=rng.randint(3, 15))
        yield {"text": " ".join(["i feel", feeling, "about", *rest]), "label": label}


def _bytes(rows: Dataset) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        rows.to_parquet(path)
        return path.read_bytes()
