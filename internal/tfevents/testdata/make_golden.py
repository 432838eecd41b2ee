"""Writes events.golden with TensorBoard's own record writer: pip install tensorboard; python make_golden.py"""

from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

out = RecordWriter(open(Path(__file__).with_name("events.golden"), "wb"))
out.write(Event(wall_time=9.5, file_version="brain.Event:2").SerializeToString())
for step in (1, 300):
    values = [Summary.Value(tag="train/loss", simple_value=0.5), Summary.Value(tag="train/lr", simple_value=1e-4)]
    out.write(Event(wall_time=10, step=step, summary=Summary(value=values)).SerializeToString())
out.close()
