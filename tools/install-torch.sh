#!/bin/sh
# Installs torch for the given Python unless it is there already: install-torch.sh PYTHON torch==VERSION
# 1. a torch already importable stays (users with a GPU install their own build first);
# 2. a wheel at hand (pip's find-links) needs no index;
# 3. on Linux the CPU build comes from PyTorch's CPU index; elsewhere PyPI's wheel is the CPU build.
set -eu
python=$1
torch=$2
"$python" -c 'import torch' 2>/dev/null && exit 0
"$python" -m pip install --quiet --no-index --no-deps "$torch" 2>/dev/null ||
    { [ "$(uname -s)" = Linux ] &&
        "$python" -m pip install --quiet --no-deps --index-url https://download.pytorch.org/whl/cpu "$torch"; } ||
    "$python" -m pip install --quiet --no-deps "$torch"
