"""RecBole: its models of labelled rows, DeepFM, Wide & Deep, PNN and FM."""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from exchange import Clicks, save  # noqa: E402
from recbole.config import Config  # noqa: E402
from recbole.data import create_dataset, data_preparation  # noqa: E402
from recbole.utils import get_model, get_trainer, init_seed  # noqa: E402

NAMES = {"deepfm": "DeepFM", "wide_deep": "WideDeep", "pnn": "PNN", "fm": "FM"}
PARTS = ("train", "valid", "test")
COMMON = {
    "use_gpu": False, "show_progress": False, "state": "ERROR", "reproducibility": False, "worker": 0, "benchmark_filename": PARTS,
    "USER_ID_FIELD": "user_id", "ITEM_ID_FIELD": "item_id", "LABEL_FIELD": "label", "eval_batch_size": 8192,
    "eval_args": {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "RO", "group_by": None, "mode": "labeled"},
    "metrics": ["AUC"], "valid_metric": "AUC", "train_neg_sample_args": None, "dropout_prob": 0.0, "reg_weight": 0.0,
    "learning_rate": 1e-3,
}  # fmt: skip


class System:
    """One of its models on one log, which it reads from text files."""

    def __init__(self, folder: Path) -> None:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        self.place, names = tempfile.TemporaryDirectory(), Clicks(folder).names
        (Path(self.place.name) / "log").mkdir()
        head = "\t".join(["label:float", *(f"{name}:token" for name in names)])
        for part in PARTS:
            rows = Clicks(folder, "train" if part == "train" else "test")
            text = Path(self.place.name) / "log" / f"log.{part}.inter"
            columns = np.column_stack([rows.label.astype(np.int32), rows.ids])
            np.savetxt(text, columns, "%d", "\t", header=head, comments="")
        self.fields = {"inter": ["label", *names]}

    def train(self, model: str, epochs: int, dim: int, hidden: list[int], batch: int) -> list[float]:
        """Seconds of each epoch."""
        init_seed(1, False)
        shape = {"embedding_size": dim, "mlp_hidden_size": hidden, "train_batch_size": batch, "load_col": self.fields}
        paths = {"data_path": self.place.name, "checkpoint_dir": self.place.name}
        config = Config(model=NAMES[model], dataset="log", config_dict={**COMMON, **shape, **paths})
        self.batches, _, self.test = data_preparation(config, create_dataset(config))
        self.model = get_model(NAMES[model])(config, self.batches._dataset).to("cpu")
        self.trainer = get_trainer(config["MODEL_TYPE"], NAMES[model])(config, self.model)
        return [self._epoch(epoch) for epoch in range(epochs)]

    def _epoch(self, epoch: int) -> float:
        start = time.perf_counter()
        self.trainer._train_epoch(self.batches, epoch, show_progress=False)
        return time.perf_counter() - start

    def export(self, folder: str) -> None:
        self.model.eval()
        rows: Any = self.test._dataset.inter_feat
        with torch.no_grad():
            found = [self.model.predict(rows[first : first + 8192]) for first in range(0, len(rows), 8192)]
        save(Path(folder), probability=torch.cat(found).numpy())
