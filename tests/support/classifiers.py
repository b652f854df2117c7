"""Image classifiers drawn at random whose channels depend on each other in all the ways that networks have."""

import onnx
from hypothesis import strategies as st
from support.graphs import ints, loaded, model, node, value, weight

from simulator.model import Model

STEPS = ("conv", "depthwise", "grouped", "norm", "relu", "residual", "dense", "gate", "halves", "shuffle", "pool", "pixels")
CLASSES = 10


class Net:
    """Nodes, weights, and the tensor made last with its channels; images are 8 × 8."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.last, self.channels = "image", 3

    def w(self, *dims: int) -> str:
        self.weights.append(weight(f"w{len(self.weights)}", *dims))
        return self.weights[-1].name

    def i(self, *numbers: int) -> str:
        self.weights.append(ints(f"w{len(self.weights)}", *numbers))
        return self.weights[-1].name

    def add(self, op_type: str, *reads: str, **attrs: object) -> str:
        self.nodes.append(node(op_type, " ".join(reads), f"t{len(self.nodes)}", **attrs))
        return self.nodes[-1].output[0]

    def conv(self, x: str, before: int, after: int, side: int = 3, groups: int = 1) -> str:
        weights = (self.w(after, before // groups, side, side), self.w(after))
        return self.add("Conv", x, *weights, group=groups, pads=[side // 2] * 4)

    def step(self, what: str, width: int) -> None:
        x, c = self.last, self.channels
        if what == "conv":
            self.last, self.channels = self.conv(x, c, width), width
        elif what == "depthwise":
            self.last = self.conv(x, c, c, groups=c)
        elif what == "grouped" and c % 2 == 0:
            self.last, self.channels = self.conv(x, c, width, groups=2), width
        elif what == "norm":
            self.last = self.add("BatchNormalization", x, *(self.w(c) for _ in range(4)))
        elif what == "relu":
            self.last = self.add("Relu", x)
        elif what == "residual":
            self.last = self.add("Add", self.conv(self.conv(x, c, width), width, c, 1), x)
        elif what == "dense":
            self.last, self.channels = self.add("Concat", x, self.conv(x, c, width), axis=1), c + width
        elif what == "gate":
            y = self.add("Sigmoid", self.conv(self.add("GlobalAveragePool", x), c, c, 1))
            self.last = self.add("Mul", x, y)
        elif what == "halves" and c % 2 == 0:
            self.nodes.append(node("Split", f"{x} {self.i(c // 2, c // 2)}", f"a{len(self.nodes)} b{len(self.nodes)}", axis=1))
            left, right = self.nodes[-1].output
            self.last = self.add("Concat", left, self.conv(right, c // 2, c // 2, 1), axis=1)
        elif what == "shuffle" and c % 2 == 0:
            y = self.add("Reshape", x, self.i(0, 2, c // 2, 8, 8))
            self.last = self.add("Reshape", self.add("Transpose", y, perm=[0, 2, 1, 3, 4]), self.i(0, c, 8, 8))
        elif what == "pool":
            self.last = self.add("MaxPool", x, kernel_shape=[3, 3], pads=[1] * 4)
        elif what == "pixels":
            y = self.add("Transpose", x, perm=[0, 2, 3, 1])
            y = self.add("MatMul", self.add("Reshape", y, self.i(1, 64, c)), self.w(c, width))
            y = self.add("Transpose", self.add("LayerNormalization", y, self.w(width), self.w(width)), perm=[0, 2, 1])
            self.last, self.channels = self.add("Reshape", y, self.i(1, width, 8, 8)), width

    def finish(self, *, pooled: bool) -> Model:
        x = self.add("GlobalAveragePool", self.last) if pooled else self.last
        y = self.add("Flatten", x)
        self.add("Gemm", y, self.w(CLASSES, self.channels * (1 if pooled else 64)), self.w(CLASSES), transB=1)
        return loaded(model(self.nodes, [value("image", 1, 3, 8, 8)], [self.nodes[-1].output[0]], self.weights))


@st.composite
def classifiers(draw: st.DrawFn) -> Model:
    """A convolution, up to ten steps, and a linear layer on the mean or on all pixels."""
    net = Net()
    net.step("conv", draw(st.sampled_from([4, 6, 16])))
    for what in draw(st.lists(st.sampled_from(STEPS), max_size=10)):
        net.step(what, draw(st.sampled_from([2, 4, 6, 8, 12])))
    return net.finish(pooled=draw(st.booleans()))
