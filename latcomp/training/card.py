"""The model card: what a model was trained on, how, and what it measured."""

from __future__ import annotations

from typing import Any

LICENCES = """\
The footage is not part of the package. It was collected from public repositories, each under the licence its
repository states (MIT, Apache-2.0, BSD, GPL-3.0, CC BY and CC BY-NC among them, some state none); DAVIS frames are
from the DAVIS benchmark (davischallenge.org), animation from Blender's open films (CC BY 3.0). Clear the rows that
matter to you before you publish footage."""


def model_card(facts: dict[str, Any]) -> str:
    """Markdown text of a model card from the facts of its training."""
    rows = "\n".join(f"| {name} | {value} |" for name, value in facts["figures"].items())
    base = f"| goes on from | {facts['base']} |\n" if facts.get("base") else ""
    command = f"latcomp train {facts['kind']} --preset {facts['preset']} --seed {facts['seed']}"
    clips = f"{facts['clips_training']} for training, {facts['clips_validation']} for validation"
    return f"""# {facts["name"]}

A {facts["kind"]} of latcomp, trained with `{command}`.

| | |
|---|---|
{base}| steps | {facts["steps"]} |
| minutes | {facts["minutes"]} |
| machine | {facts["machine"]} |
| clips | {clips}, from the folder `{facts["data"]}` |

## Data

{LICENCES}

## Figures on the validation clips

Measured on one crop of every validation clip when the training ended; clips used for validation were never trained on.

| figure | value |
|---|---|
{rows}
"""
