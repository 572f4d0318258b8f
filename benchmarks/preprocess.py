"""How fast videos become a store, and how much memory it takes.

    python benchmarks/preprocess.py VIDEOS --detector-model face_detection_yunet.onnx

The first table compares `ddr preprocess videos --crop face` with a bare loop on one
core that decodes the same videos, detects as many faces on pictures of the same size
and resizes every frame, and one worker with two. The second one reads 100 links to one
video and shows that peak memory depends on the workers and not on the number of videos.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

# All that is measured here reads and crops only; without Keras its own memory shows.
os.environ["KERAS_DDR_WORKER"] = "1"


def bare(arguments):
    """Decode, detect and resize, with nothing around it."""
    import cv2

    from keras_ddr.datasets.videos import find_videos
    from keras_ddr.faces.detector import FaceDetector

    cv2.setNumThreads(1)
    detector = FaceDetector(arguments.detector_model)
    began, frames = time.perf_counter(), 0
    for _, path in find_videos(arguments.videos):
        options = [cv2.CAP_PROP_N_THREADS, 1]
        capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG, options)
        number = 0
        while True:
            decoded, image = capture.read()
            if not decoded:
                break
            if number % 4 == 0:
                detector.detect(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
            cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA)
            number += 1
        frames += number
    return {"seconds": time.perf_counter() - began, "frames": frames}


def prepare(arguments):
    """Make a store."""
    import warnings

    from keras_ddr.datasets import Detection, Work, videos

    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        store = videos.prepare(
            os.path.join(folder, "store"),
            arguments.videos,
            detection=Detection(arguments.detector_model),
            work=Work(workers=arguments.workers),
        )
        frames = store.num_frames
    return {
        "seconds": time.perf_counter() - began,
        "frames": frames,
        "parent": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "worker": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
    }


def measure(what, videos, model, workers=1):
    """Run one measurement in a process of its own."""
    command = [sys.executable, __file__, str(videos), "--detector-model", str(model)]
    command += ["--one", what, "--workers", str(workers)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(output.stdout.splitlines()[-1])


def speed(arguments):
    """Table of frames a second."""
    runs = {"bare loop, one core": [], "one worker": [], "two workers": []}
    for _ in range(arguments.repeats):
        # In turns, so that what else the machine does falls on all alike.
        for name, what, workers in (
            ("bare loop, one core", "bare", 1),
            ("one worker", "prepare", 1),
            ("two workers", "prepare", 2),
        ):
            runs[name].append(
                measure(what, arguments.videos, arguments.detector_model, workers)
            )
    frames = runs["bare loop, one core"][0]["frames"]
    print(f"{frames} frames, {arguments.repeats} runs each, {os.cpu_count()} cores")
    print(f"{'':<22}{'frames/s':>10}{'lowest':>10}{'highest':>10}")
    rate = {}
    for name, results in runs.items():
        rates = [frames / result["seconds"] for result in results]
        rate[name] = statistics.median(rates)
        print(f"{name:<22}{rate[name]:10.0f}{min(rates):10.0f}{max(rates):10.0f}")
    one = rate["one worker"]
    print(f"one worker / bare loop    {one / rate['bare loop, one core']:.2f}")
    print(f"two workers / one worker  {rate['two workers'] / one:.2f}\n")


def memory(arguments):
    """Table of peak memory for 10 and for 100 videos."""
    from keras_ddr.datasets.videos import find_videos

    largest = max(
        (path for _, path in find_videos(arguments.videos)), key=os.path.getsize
    )
    video = arguments.video or largest
    print(f"{'videos':>7}{'frames kept':>13}{'parent MB':>11}{'worker MB':>11}{'s':>7}")
    for number in (10, 100):
        with tempfile.TemporaryDirectory() as folder:
            for k in range(number):
                link = pathlib.Path(folder) / f"{k:03}{pathlib.Path(video).suffix}"
                link.symlink_to(os.path.abspath(video))
            result = measure("prepare", folder, arguments.detector_model, 2)
        print(
            f"{number:>7}{result['frames']:>13}{result['parent']:11.0f}"
            f"{result['worker']:11.0f}{result['seconds']:7.0f}"
        )


def main():
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", help="folder of videos with faces")
    parser.add_argument("--detector-model", required=True, help="YuNet as ONNX file")
    parser.add_argument("--video", help="video for the memory; default the largest")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=["speed", "memory"])
    parser.add_argument("--one", choices=["bare", "prepare"], help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=1, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        function = {"bare": bare, "prepare": prepare}[arguments.one]
        print(json.dumps(function(arguments)))
        return
    if arguments.only != "memory":
        speed(arguments)
    if arguments.only != "speed":
        memory(arguments)


if __name__ == "__main__":
    main()
