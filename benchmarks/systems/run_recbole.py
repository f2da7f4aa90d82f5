"""RecBole: BPR by Adam on batches, and item to item."""

from __future__ import annotations

import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from exchange import Matrix, save  # noqa: E402
from recbole.config import Config  # noqa: E402
from recbole.data import create_dataset, data_preparation  # noqa: E402
from recbole.utils import get_model, get_trainer, init_seed  # noqa: E402

COMMON = {
    "use_gpu": False, "show_progress": False, "state": "ERROR", "load_col": {"inter": ["user_id", "item_id"]},
    "benchmark_filename": ["train", "train", "train"], "train_batch_size": 2048,
    "eval_args": {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "RO", "group_by": "user", "mode": "full"},
    "metrics": ["NDCG"], "topk": [10], "valid_metric": "NDCG@10", "reproducibility": False,
}  # fmt: skip


class System:
    """One of its models on one data set, which it reads from text files."""

    def __init__(self, folder: Path) -> None:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        self.train, self.place = Matrix(folder), tempfile.TemporaryDirectory()
        (Path(self.place.name) / "set").mkdir()
        pairs = np.stack([self.train.users, self.train.indices], 1)
        text = Path(self.place.name) / "set" / "set.train.inter"
        np.savetxt(text, pairs, "%d", "\t", header="user_id:token\titem_id:token", comments="")
        config = self._config("BPR")
        self.dataset = create_dataset(config)
        self.batches = data_preparation(config, self.dataset)[0]

    def bpr(self, epochs: int, **settings: Any) -> int:
        config = self._build("BPR", **settings)
        trainer = get_trainer(config["MODEL_TYPE"], "BPR")(config, self.model)
        for epoch in range(epochs):
            trainer._train_epoch(self.batches, epoch, show_progress=False)
        return epochs

    def item_to_item(self, neighbours: int) -> int:
        self._build("ItemKNN", k=neighbours)
        return 1

    def _build(self, name: str, **settings: Any) -> Config:
        init_seed(1, False)
        config = self._config(name, **settings)
        self.model = get_model(name)(config, self.batches._dataset).to("cpu")
        return config

    def _config(self, name: str, **settings: Any) -> Config:
        place = {"data_path": self.place.name, "checkpoint_dir": self.place.name}
        return Config(model=name, dataset="set", config_dict={**COMMON, **place, **settings})

    def _rows(self, field: str, n: int) -> np.ndarray:
        """Its row of each of our rows; those it does not know get its row 0, which is padding."""
        known = self.dataset.field2token_id[field]
        return np.array([known.get(str(row), 0) for row in range(n)])

    def export(self, folder: str) -> None:
        users, items = self._rows("user_id", self.train.n_users), self._rows("item_id", self.train.n_items)
        if hasattr(self.model, "w"):
            near = self.model.w.tocsr()[items][:, items]
            save(Path(folder), indptr=near.indptr, indices=near.indices, similarity=near.data)
        else:
            user, item = (t.weight.detach().numpy() for t in (self.model.user_embedding, self.model.item_embedding))
            save(Path(folder), user=user[users], item=item[items])
