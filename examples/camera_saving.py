"""Says what following a moving camera saved, from two .lat files of one clip and of the same quality.

latcomp encode clip.mp4 followed.lat --min-psnr 34
latcomp encode clip.mp4 still.lat --min-psnr 34 --camera off
python examples/camera_saving.py followed.lat still.lat
"""

import sys

import latcomp


def main(*paths: str) -> None:
    """Print the figures of both files, and the saving."""
    figures = []
    for path in paths:
        with latcomp.open(path) as lat:
            stats = lat.stats()
        camera = stats["camera"] or {"mode": "off", "pixels_per_frame": 0.0}
        moved = f"{camera['pixels_per_frame']:.1f} pixels a frame" if camera["pixels_per_frame"] else "not followed"
        print(f"{path}: {stats['bytes_total']} bytes, {stats['tokens_kept']} tokens, camera {moved}")
        figures.append((8 * stats["bytes_total"], stats["tokens_kept"], stats["min_psnr"]))
    (bits, tokens, psnr), (bits_still, tokens_still, psnr_still) = figures
    same = f"at a PSNR-Y of {psnr:g} dB" if psnr and psnr == psnr_still else "at qualities that --min-psnr did not set"
    print(
        f"the camera saved {100 * (1 - bits / bits_still):.0f} % of the bits and "
        f"{100 * (1 - tokens / tokens_still):.0f} % of the tokens, {same}"
    )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python examples/camera_saving.py FOLLOWED.lat STILL.lat")
    main(*sys.argv[1:])
