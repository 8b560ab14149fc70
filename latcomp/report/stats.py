"""The object of `latcomp stats --json`, from a file's summary."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from latcomp.container import FileSummary
from latcomp.report.camera import camera_dict
from latcomp.report.series import group_rows

RAW_BYTES = 2  # an fp16 number


def stats_dict(summary: FileSummary) -> dict[str, Any]:
    """JSON-able figures of one file, keys as the documentation of `stats --json` lists them.

    bpp: bits of everything but audio and attachments over frames x width x height. bits_per_token: the same bits over
    kept tokens. ratio_to_raw_latents: bytes of fp16 latents at all positions of the frames' own grid over these bytes.
    Figures that nothing can be divided by are 0 (an empty file)."""
    header = summary.header
    frames, kept, total = summary.frames, summary.tokens_kept, summary.tokens_total
    positions = summary.latent_frames * header.grid[0] * header.grid[1]
    plain_bytes = summary.bytes_total - summary.bytes_audio - summary.bytes_attachments
    duration = summary.duration_seconds
    return {
        "format_version": summary.format_version,
        "bytes_total": summary.bytes_total,
        "bytes_header": summary.bytes_header,
        "bytes_mask": summary.bytes_mask,
        "bytes_tokens": summary.bytes_tokens,
        "bytes_audio": summary.bytes_audio,
        "bytes_attachments": summary.bytes_attachments,
        "bytes_other": summary.bytes_other,
        "frames": frames,
        "width": header.width,
        "height": header.height,
        "duration_seconds": duration,
        "fps_average": frames / duration if duration > 0 else 0.0,
        "tokenizer": {
            name: header.tokenizer.get(name)
            for name in ("name", "sha256", "fingerprint", "channels", "spatial", "temporal")
        }
        | {"first_frames": header.rule_of(key=True).first},
        "lit": None
        if header.lit is None
        else {name: header.lit.get(name) for name in ("name", "sha256", "fingerprint")},
        "steps": header.steps,
        "latents": header.latents and {"architecture": None, **header.latents},
        "quality": header.quality,
        "coding": header.coding,
        "threshold": header.threshold,
        "keep": header.keep,
        "target_bpp": header.target_bpp,
        "min_psnr": header.min_psnr,
        "optimise": header.optimise,
        "reference": header.reference,
        "latent_frames": summary.latent_frames,
        "tokens_total": total,
        "tokens_kept": kept,
        "keep_ratio": kept / total if total else 0.0,
        "bpp": plain_bytes * 8 / (frames * header.width * header.height) if frames else 0.0,
        "bits_per_token": plain_bytes * 8 / kept if kept else 0.0,
        "ratio_to_raw_latents": positions * header.channels * RAW_BYTES / plain_bytes if plain_bytes else 0.0,
        "camera": camera_dict(summary),
        "segments": summary.segments,
        "attachments": [{**asdict(one), "shape": list(one.shape)} for one in summary.attachments],
        "damage": [str(problem) for problem in summary.problems],
        "groups": [asdict(row) for row in group_rows(summary)],
    }
