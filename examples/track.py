"""Sends a finished run to MLflow.

    vgh run --json pipelines/quickstart.toml | python examples/track.py --results results/quickstart
    python examples/track.py cache/runs/RUN/events.jsonl

Reads the events of `vgh run --json`, or of a run's folder in the cache. One
run of vgh becomes one run of MLflow: what was executed and how long it took as
metrics, the pipeline and the outcome as tags, the folder of results as
artifacts. Where they go is MLflow's own setting: `MLFLOW_TRACKING_URI`, such as
`sqlite:///mlflow.db` or `http://host:5000`; for a plain folder `file:mlruns`
with `MLFLOW_ALLOW_FILE_STORE=true`, which MLflow 3 asks for. `--print` shows
what would be sent and needs no MLflow.
"""
import argparse
import json
import sys
from collections import defaultdict


def read(lines):
    """What the events of one run say: name, tags, metrics."""
    tags, metrics, seconds, failed = {}, {}, defaultdict(float), []
    for line in lines:
        if not line.strip():
            continue
        event = json.loads(line)
        kind = event.get("event")
        if kind == "run-started":
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
    if "vgh.run" not in tags:
        sys.exit("track.py: no event `run-started` among the lines read")
    if failed:
        tags["vgh.failed"] = ", ".join(failed)
    metrics |= {f"seconds.{stage}": total for stage, total in sorted(seconds.items())}
    return {"name": tags["vgh.run"], "tags": tags, "metrics": metrics}


def send(run, results):
    try:
        import mlflow
    except ImportError:
        print("track.py: MLflow is not installed, nothing was sent (pip install mlflow)", file=sys.stderr)
        return
    mlflow.set_experiment(run["tags"]["vgh.pipeline"])
    with mlflow.start_run(run_name=run["name"]):
        mlflow.set_tags(run["tags"])
        mlflow.log_metrics({name: float(value) for name, value in run["metrics"].items()})
        if results:
            mlflow.log_artifacts(results)
    print(f"track.py: {run['name']} is in {mlflow.get_tracking_uri()}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("events", nargs="?", help="a file of events; else standard input")
    parser.add_argument("--results", help="a folder to keep as artifacts")
    parser.add_argument("--print", action="store_true", dest="shown", help="show, do not send")
    args = parser.parse_args()
    if args.events:
        with open(args.events, encoding="utf-8") as file:
            run = read(file)
    else:
        run = read(sys.stdin)
    if args.shown:
        print(json.dumps(run, indent=2))
    else:
        send(run, args.results)


if __name__ == "__main__":
    main()
