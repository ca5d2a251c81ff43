"""The array language that converters are written in: each primitive folds known values and emits MXNet nodes for pending ones."""

from onnx_import.nd.contraction import *  # noqa: F403
from onnx_import.nd.elementwise import *  # noqa: F403
from onnx_import.nd.indexing import *  # noqa: F403
from onnx_import.nd.integers import *  # noqa: F403
from onnx_import.nd.linear import *  # noqa: F403
from onnx_import.nd.narrowing import *  # noqa: F403
from onnx_import.nd.neural import *  # noqa: F403
from onnx_import.nd.ordering import *  # noqa: F403
from onnx_import.nd.recurrent import *  # noqa: F403
from onnx_import.nd.reducing import *  # noqa: F403
from onnx_import.nd.resampling import *  # noqa: F403
from onnx_import.nd.sampling import *  # noqa: F403
from onnx_import.nd.shaping import *  # noqa: F403
from onnx_import.nd.tape import emit as emit
from onnx_import.nd.tape import emit_many as emit_many
from onnx_import.nd.tape import host as host
from onnx_import.nd.tape import ints as ints
from onnx_import.nd.tape import known as known
from onnx_import.nd.tape import scalar as scalar
from onnx_import.nd.value import MOST_ELEMENTS as MOST_ELEMENTS
from onnx_import.nd.value import Told as Told
from onnx_import.nd.value import Value as Value
from onnx_import.nd.value import constant as constant
from onnx_import.nd.value import fitting as fitting
