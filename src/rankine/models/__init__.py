"""Every model by name. A model's module is imported when it is asked for, so counting models run without torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from rankine.errors import ConfigError, closest
from rankine.models.base import Model


class _Models(Mapping[str, type[Model]]):
    """Name to class."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = dict(places)

    def __getitem__(self, name: str) -> type[Model]:
        if name not in self._places:
            raise ConfigError(f"unknown model `{name}`{closest(name, self._places)}")
        module, class_name = self._places[name].split(":")
        found: type[Model] = getattr(import_module(f"rankine.models.{module}"), class_name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places


MODELS = _Models(
    {
        "als": "factorization.als:ALS",
        "bias": "factorization.bias:Bias",
        "bpr": "factorization.bpr:BPR",
        "dcn_v2": "ctr.dcn_v2:DCNv2",
        "deepfm": "ctr.deepfm:DeepFM",
        "ease": "linear.ease:EASE",
        "fm": "ctr.fm:FM",
        "fm_dnn": "ctr.fm_dnn:FMDNN",
        "fnn": "ctr.fnn:FNN",
        "ipnn": "ctr.ipnn:IPNN",
        "item_to_item": "baselines.item_to_item:ItemToItem",
        "logistic_mf": "factorization.logistic_mf:LogisticMF",
        "lr": "ctr.lr:LR",
        "markov": "session.markov:Markov",
        "mf": "factorization.mf:MF",
        "opnn": "ctr.opnn:OPNN",
        "pnn_star": "ctr.pnn_star:PNNStar",
        "popularity": "baselines.popularity:Popularity",
        "rating_als": "factorization.rating_als:RatingALS",
        "rbm": "factorization.rbm:RBM",
        "rp3beta": "linear.rp3beta:RP3Beta",
        "sequential_rules": "session.sequential_rules:SequentialRules",
        "session_popularity": "session.session_popularity:SessionPopularity",
        "slim": "linear.slim:SLIM",
        "svdpp": "factorization.svdpp:SVDpp",
        "vsknn": "session.vsknn:VSKNN",
        "wide_deep": "ctr.wide_deep:WideDeep",
    }
)
