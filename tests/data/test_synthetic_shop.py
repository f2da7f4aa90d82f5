"""What a generated shop must look like from outside."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from rankine.data.dataset import Dataset
from rankine.data.schema import Kind
from rankine.data.sessions import collapse_repeats
from rankine.data.synthetic import Shop, ShopConfig, generate, shop_config, write
from rankine.data.synthetic.config import DAY_S, END_S
from rankine.errors import ConfigError

TINY = shop_config("small", n_users=60, n_items=60, n_events=2_000, n_days=15, n_topics=4)


@pytest.fixture(scope="module")
def shop() -> Shop:
    return generate(shop_config("small"))


@pytest.fixture(scope="module")
def events(shop: Shop) -> pl.DataFrame:
    return shop.dataset.events


def test_the_same_seed_gives_the_same_shop() -> None:
    one, other = generate(TINY).dataset, generate(TINY).dataset
    for table in ("events", "users", "items"):
        assert getattr(one, table).equals(getattr(other, table))


def test_another_seed_gives_another_shop() -> None:
    other = shop_config("small", n_users=60, n_items=60, n_events=2_000, n_days=15, n_topics=4, seed=2)
    assert generate(TINY).dataset.fingerprint() != generate(other).dataset.fingerprint()


def test_written_files_hold_the_generated_shop_and_need_no_mapping(tmp_path: Path) -> None:
    write(TINY, tmp_path / "shop")
    made = generate(TINY).dataset
    tables = {name: pl.read_parquet(tmp_path / "shop" / f"{name}.parquet") for name in ("events", "users", "items")}
    read = Dataset.from_frames(tables["events"], tables["users"], tables["items"], name="shop")
    assert read.schema == made.schema
    for name, frame in tables.items():
        assert frame.equals(getattr(made, name))


def test_columns_have_the_kinds_that_models_expect(shop: Shop) -> None:
    schema = shop.dataset.schema
    assert schema.context == dict.fromkeys(("device", "referrer", "hour"), Kind.CATEGORY)
    assert schema.items == {
        "item_id": Kind.ID, "title": Kind.TEXT, "category": Kind.CATEGORY, "tags": Kind.CATEGORIES,
        "price": Kind.NUMBER, "description": Kind.TEXT, "available_from": Kind.TIME,
    }  # fmt: skip
    assert schema.users == {
        "user_id": Kind.ID, "name": Kind.TEXT, "country": Kind.CATEGORY, "age": Kind.NUMBER, "created_date": Kind.TIME,
    }  # fmt: skip


def test_the_number_of_events_is_near_its_target(events: pl.DataFrame) -> None:
    assert len(events) == pytest.approx(90_000, rel=0.03)


def test_times_are_whole_seconds_in_order_within_the_days_of_the_shop(events: pl.DataFrame) -> None:
    clock = events["timestamp"].to_numpy()
    assert (np.diff(clock) >= 0).all()
    assert (clock == np.floor(clock)).all()
    assert END_S - 60 * DAY_S <= clock[0] < END_S - 59 * DAY_S
    assert END_S - DAY_S <= clock[-1] < END_S


def test_every_id_of_an_event_has_a_row(shop: Shop, events: pl.DataFrame) -> None:
    assert set(events["item_id"]) <= set(shop.dataset.items["item_id"])
    assert set(events["user_id"].drop_nulls()) <= set(shop.dataset.users["user_id"])
    for table, name in ((shop.dataset.items, "item_id"), (shop.dataset.users, "user_id")):
        assert table[name].is_unique().all()


def test_nothing_happens_to_an_item_or_user_before_it_arrives(shop: Shop, events: pl.DataFrame) -> None:
    joined = events.join(shop.dataset.items, on="item_id").join(shop.dataset.users, on="user_id", how="left")
    assert (joined["timestamp"] >= joined["available_from"]).all()
    assert (joined["timestamp"] >= joined["created_date"]).all()  # nulls of anonymous visits are skipped


def test_cart_and_purchase_come_right_after_the_view_of_the_same_item(events: pl.DataFrame) -> None:
    before = events.select(
        "event_type",
        "item_id",
        pl.col("event_type").shift().over("session_id").alias("type_before"),
        pl.col("item_id").shift().over("session_id").alias("item_before"),
    )
    for name, precondition in (("cart", "view"), ("purchase", "cart")):
        rows = before.filter(pl.col("event_type") == name)
        assert len(rows) > 1_000
        assert (rows["type_before"] == precondition).all()
        assert (rows["item_before"] == rows["item_id"]).all()


def test_a_session_with_repeats_collapsed_is_its_views(events: pl.DataFrame) -> None:
    assert collapse_repeats(events).equals(events.filter(pl.col("event_type") == "view"))


def test_a_session_has_one_visitor_one_context_and_one_day(events: pl.DataFrame) -> None:
    sessions = events.group_by("session_id").agg(
        pl.col("user_id", "device", "referrer", "hour").n_unique(),
        day=(pl.col("timestamp") // DAY_S).n_unique(),
        first_hour=(pl.col("timestamp").min() % DAY_S // 3600).cast(pl.Int64),
        said_hour=pl.col("hour").first().cast(pl.Int64),
    )
    assert (sessions.select("user_id", "device", "referrer", "hour", "day").to_numpy() == 1).all()
    assert (sessions["first_hour"] == sessions["said_hour"]).all()


def test_events_of_a_session_are_20_to_200_seconds_apart(events: pl.DataFrame) -> None:
    gaps = events.select(pl.col("timestamp").diff().over("session_id")).to_series().drop_nulls()
    assert (gaps.min(), gaps.max()) == (20, 200)


def test_three_in_ten_sessions_have_no_name(events: pl.DataFrame) -> None:
    sessions = events.group_by("session_id").agg(pl.col("user_id").first())
    share = sessions["user_id"].null_count() / len(sessions)
    assert share == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / len(sessions)))


@pytest.mark.parametrize("column", ["user_id", "item_id"])
def test_a_tenth_makes_more_than_a_third_of_the_events(events: pl.DataFrame, column: str) -> None:
    counts = events[column].drop_nulls().value_counts(sort=True)["count"]
    assert counts.head(len(counts) // 10).sum() > counts.sum() / 3


def test_a_few_percent_of_the_last_weeks_items_and_users_are_new(shop: Shop, events: pl.DataFrame) -> None:
    last_week = pl.col("timestamp") >= END_S - 7 * DAY_S
    train, test = events.filter(~last_week), events.filter(last_week)
    cold = test.select(~pl.col("item_id").is_in(train["item_id"].unique().implode())).to_series()
    assert 0.005 < cold.mean() < 0.05
    items = shop.dataset.items
    assert 0.01 < (items["available_from"] >= END_S - 7 * DAY_S).mean() < 0.06
    new_users = set(test["user_id"].drop_nulls()) - set(train["user_id"].drop_nulls())
    assert 0.02 < len(new_users) / test["user_id"].n_unique() < 0.3


def test_evenings_are_busier_than_nights(events: pl.DataFrame) -> None:
    hour = events["hour"].cast(pl.Int64)
    assert ((hour >= 19) & (hour < 22)).sum() > 5 * ((hour >= 2) & (hour < 5)).sum()


def test_a_price_that_suits_fills_the_cart_more_often(shop: Shop, events: pl.DataFrame) -> None:
    world = shop.oracle.world
    rows = events.filter(pl.col("user_id").is_not_null()).select(
        pl.col("user_id", "item_id").str.slice(2).cast(pl.Int64), cart=pl.col("event_type") == "cart"
    )
    misfit = np.abs(world.price_z[rows["item_id"]] - world.budget[rows["user_id"]])
    cart = rows["cart"].to_numpy()
    assert cart[misfit < 0.5].mean() > 2 * cart[misfit > 1.5].mean()


def test_titles_are_distinct_and_tell_the_tags(shop: Shop) -> None:
    items = shop.dataset.items
    assert items["title"].is_unique().all()
    assert items["category"].n_unique() == 16
    for title, tags in items.select("title", "tags").head(50).iter_rows():
        assert all(tag in title.lower() for tag in tags)


def test_successors_are_never_newer_than_the_item_and_never_itself(shop: Shop) -> None:
    world = shop.oracle.world
    assert (world.item_arrival[world.successors] <= world.item_arrival[:, None]).all()
    assert (world.successors != np.arange(len(world.topic))[:, None]).all()
    elsewhere = world.topic[world.successors] != world.topic[:, None]
    assert elsewhere[:, -1].all()
    assert elsewhere[:, :-1].mean() < 0.05


def test_days_without_a_visit_are_no_trouble(tmp_path: Path) -> None:
    config = shop_config("small", n_users=3, n_items=6, n_events=8, n_days=40, n_topics=2)
    assert 1 <= len(generate(config).dataset.events) < 60
    write(config, tmp_path)
    assert (tmp_path / "events.parquet").exists()


def test_a_small_shop_takes_less_than_two_seconds(shop: Shop) -> None:
    start = time.process_time()
    generate(shop_config("small", seed=9))
    assert time.process_time() - start < 2


def test_sizes_are_named_and_single_settings_can_change() -> None:
    assert shop_config("small") == ShopConfig()
    assert shop_config("large", seed=5).n_events == 10_000_000
    assert shop_config("medium", n_days=30).n_days == 30
    with pytest.raises(ConfigError, match="'smal'; did you mean `small`"):
        shop_config("smal")
    with pytest.raises(ConfigError, match="unknown setting `n_item` for a shop; did you mean `n_items`"):
        shop_config("small", n_item=3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_items", 40),
        ("n_topics", 17),
        ("n_topics", 1),
        ("anonymous_share", 1.5),
        ("taste_focus", 0.0),
        ("zipf", -1.0),
    ],
)
def test_a_shop_that_cannot_be_is_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"`{name}` of ShopConfig must be"):
        shop_config("small", **{name: value})
