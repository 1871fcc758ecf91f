"""Sends a finished run to MLflow.

    vgh run --json pipelines/quickstart.toml | python examples/track.py --results results/quickstart
    python examples/track.py cache/runs/RUN/events.jsonl

Reads the events of `vgh run --json`, or of a run's folder in the cache. One
run of vgh becomes one run of MLflow, with its outcome and its times: what was
executed and how long it took as metrics, the pipeline and what failed as tags,
the folder of results as artifacts. Without MLflow it says so and sends nothing.
Where runs go is MLflow's own setting: `MLFLOW_TRACKING_URI`, such as
`sqlite:///mlflow.db` or `http://host:5000`; for a plain folder `file:mlruns`
with `MLFLOW_ALLOW_FILE_STORE=true`, which MLflow 3 asks for. `--print` shows
what would be sent and needs no MLflow.
"""
import argparse
import json
import sys
from collections import defaultdict
from datetime import datetime


def milliseconds(at):
    """RFC 3339 in UTC to milliseconds since 1970."""
    return round(datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp() * 1000)


def read(lines):
    """What the events of one run say: name, status, times, tags, metrics."""
    tags, metrics, seconds, failed = {}, {}, defaultdict(float), []
    status = "KILLED"  # without a last line the run died
    begun = ended = None
    for line in lines:
        if not line.strip():
            continue
        event = json.loads(line)
        kind = event.get("event")
        ended = event.get("at", ended)
        if kind == "run-started":
            begun = event["at"]
            tags |= {"vgh.run": event["run"], "vgh.pipeline": event["pipeline"]}
            metrics["instances"] = event["instances"]
        elif kind == "finished":
            seconds[event["stage"]] += event["duration_ms"] / 1000
        elif kind == "failed":
            failed.append(event["instance"])
        elif kind == "run-finished":
            for name in ("executed", "cached", "failed", "skipped", "wall_s"):
                metrics[name] = event[name]
            tags["vgh.interrupted"] = str(event["interrupted"]).lower()
            status = "KILLED" if event["interrupted"] else "FAILED" if event["failed"] else "FINISHED"
    if "vgh.run" not in tags:
        sys.exit("track.py: no event `run-started` among the lines read")
    if failed:
        tags["vgh.failed"] = ", ".join(failed)
    metrics |= {f"seconds.{stage}": total for stage, total in sorted(seconds.items())}
    return {
        "name": tags["vgh.run"],
        "status": status,
        "begun_ms": milliseconds(begun),
        "ended_ms": milliseconds(ended),
        "tags": tags,
        "metrics": metrics,
    }


def send(run, results):
    try:
        import mlflow
    except ImportError:
        print("track.py: MLflow is not installed, nothing was sent (pip install mlflow)", file=sys.stderr)
        return
    experiment = mlflow.set_experiment(run["tags"]["vgh.pipeline"]).experiment_id
    client = mlflow.MlflowClient()
    ours = client.create_run(experiment, run["begun_ms"], run["tags"], run["name"]).info.run_id
    for name, value in run["metrics"].items():
        client.log_metric(ours, name, float(value), run["ended_ms"])
    if results:
        client.log_artifacts(ours, results)
    client.set_terminated(ours, run["status"], run["ended_ms"])
    print(f"track.py: {run['name']} is in {mlflow.get_tracking_uri()}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("events", nargs="?", help="a file of events; else standard input")
    parser.add_argument("--results", help="a folder to keep as artifacts")
    parser.add_argument("--print", action="store_true", dest="shown", help="show, do not send")
    args = parser.parse_args()
    try:
        with open(args.events or 0, encoding="utf-8") as file:
            run = read(file)
    except (OSError, ValueError) as error:
        sys.exit(f"track.py: {args.events or 'standard input'}: {error}")
    if args.shown:
        print(json.dumps(run, indent=2))
    else:
        send(run, args.results)


if __name__ == "__main__":
    main()
