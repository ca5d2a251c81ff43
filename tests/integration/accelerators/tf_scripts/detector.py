"""An object detector by its tensors' names, as object detection was done on Elastic Inference with TensorFlow 1."""

import sys
import time

import numpy as np
from tensorflow.contrib.ei.python.predictor.ei_predictor import EIPredictor

PATH, USE_EI = sys.argv[1], sys.argv[2] == "ei"
OUTPUTS = {
    "detections_scores": "detection_scores:0",
    "num_detections": "num_detections:0",
    "detection_boxes": "detection_boxes:0",
}

begin = time.time()
eia = EIPredictor(model_dir=PATH, input_names={"inputs": "image_tensor:0"}, output_names=OUTPUTS, use_ei=USE_EI)
eia({"inputs": np.zeros((1, 100, 100, 3), dtype=np.uint8)})
assert time.time() - begin < 10, "the first call loads within the older client's limit"

image = np.random.RandomState(0).randint(0, 255, (1, 120, 90, 3))
pred = eia({"inputs": image})
pred["num_detections"] = int(pred["num_detections"])
pred["detection_boxes"] = pred["detection_boxes"][0]
pred["detections_scores"] = pred["detections_scores"][0][: pred["num_detections"]]
print(sorted(pred), pred["num_detections"], pred["detections_scores"].tolist(), pred["detection_boxes"].tolist())
assert eia({"inputs": image.astype("uint8")})["detection_boxes"].shape == (1, 2, 4), "the next answer is a fresh dict"
if len(sys.argv) > 3:
    del eia
