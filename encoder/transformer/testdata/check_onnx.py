"""Check networks that Retort exported to ONNX, by onnx's checker and by onnxruntime on the CPU.

    python3 check_onnx.py MODEL.onnx CASES.json [MODEL.onnx CASES.json ...]

CASES.json is a list of batches: {"ids": [[...], ...], "pad": N, "left": bool, "embeddings": [[...], ...]}. Rows are padded
up to the longest, on the left if left is true. The smallest cosine of sentence_embedding with the given embeddings must
be at least .99999, and no value may differ by more than 1e-5.

It needs the packages onnx 1.23.2 and onnxruntime 1.24.4.
"""

import json
import sys

import numpy as np
import onnx
import onnxruntime


def check(path, cases_path):
    model = onnx.load(path)
    onnx.checker.check_model(path, full_check=True)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 17)], model.opset_import
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # threads that wait would spin on a busy machine
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    assert [o.name for o in session.get_outputs()] == ["last_hidden_state", "sentence_embedding"], session.get_outputs()
    with open(cases_path) as f:
        cases = json.load(f)
    smallest, largest, texts = 1.0, 0.0, 0
    for case in cases:
        rows, want = case["ids"], np.array(case["embeddings"], dtype=np.float64)
        width = max(len(row) for row in rows)
        ids = np.full((len(rows), width), case["pad"], dtype=np.int64)
        mask = np.zeros_like(ids)
        for i, row in enumerate(rows):
            at = slice(width - len(row), width) if case["left"] else slice(0, len(row))
            ids[i, at], mask[i, at] = row, 1
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        states, got = session.run(None, {name: feed[name] for name in names})
        assert states.dtype == got.dtype == np.float32, (states.dtype, got.dtype)
        assert states.shape[:2] == ids.shape and got.shape == want.shape, (states.shape, got.shape, want.shape)
        norms = np.linalg.norm(got, axis=1) * np.linalg.norm(want, axis=1)
        smallest = min(smallest, float(np.min(np.sum(got * want, axis=1) / norms)))
        largest = max(largest, float(np.max(np.abs(got - want))))
        texts += len(rows)
    print(f"{path}: {texts} texts, smallest cosine {smallest:.8f}, largest difference {largest:.2g}")
    if not (smallest >= 0.99999 and largest <= 1e-5):
        sys.exit(f"{path}: smallest cosine {smallest}, largest difference {largest}")


def main():
    if len(sys.argv) < 3 or len(sys.argv) % 2 == 0:
        sys.exit(__doc__)
    for i in range(1, len(sys.argv), 2):
        check(sys.argv[i], sys.argv[i + 1])


if __name__ == "__main__":
    main()
