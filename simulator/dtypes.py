"""Element types of tensors, with the codes of `onnx.TensorProto.DataType`."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class DType:
    """One element type; `bits` is the storage of one element (0 where it has no fixed size: strings)."""

    name: str
    bits: int
    code: int
    kind: str  # float | int | bool | complex | string | opaque

    @property
    def is_float(self) -> bool:
        """True for real floating-point types."""
        return self.kind == "float"

    @property
    def is_int(self) -> bool:
        """True for signed and unsigned integers."""
        return self.kind == "int"

    def __str__(self) -> str:
        return self.name


def _table() -> tuple[DType, ...]:
    rows = (
        ("undefined", 0, 0, "opaque"),
        ("float32", 32, 1, "float"),
        ("uint8", 8, 2, "int"),
        ("int8", 8, 3, "int"),
        ("uint16", 16, 4, "int"),
        ("int16", 16, 5, "int"),
        ("int32", 32, 6, "int"),
        ("int64", 64, 7, "int"),
        ("string", 0, 8, "string"),
        ("bool", 8, 9, "bool"),
        ("float16", 16, 10, "float"),
        ("float64", 64, 11, "float"),
        ("uint32", 32, 12, "int"),
        ("uint64", 64, 13, "int"),
        ("complex64", 64, 14, "complex"),
        ("complex128", 128, 15, "complex"),
        ("bfloat16", 16, 16, "float"),
        ("float8e4m3fn", 8, 17, "float"),
        ("float8e4m3fnuz", 8, 18, "float"),
        ("float8e5m2", 8, 19, "float"),
        ("float8e5m2fnuz", 8, 20, "float"),
        ("uint4", 4, 21, "int"),
        ("int4", 4, 22, "int"),
        ("float4e2m1", 4, 23, "float"),
        ("float8e8m0", 8, 24, "float"),
        ("uint2", 2, 25, "int"),
        ("int2", 2, 26, "int"),
        ("float6e2m3", 6, 27, "float"),
        ("float6e3m2", 6, 28, "float"),
    )
    return tuple(DType(*row) for row in rows)


BY_CODE: Final[dict[int, DType]] = {d.code: d for d in _table()}
BY_NAME: Final[dict[str, DType]] = {d.name: d for d in BY_CODE.values()}

UNDEFINED: Final = BY_NAME["undefined"]
FLOAT32: Final = BY_NAME["float32"]
FLOAT64: Final = BY_NAME["float64"]
FLOAT16: Final = BY_NAME["float16"]
BFLOAT16: Final = BY_NAME["bfloat16"]
FLOAT8: Final = BY_NAME["float8e4m3fn"]
INT4: Final = BY_NAME["int4"]
INT8: Final = BY_NAME["int8"]
UINT8: Final = BY_NAME["uint8"]
INT32: Final = BY_NAME["int32"]
INT64: Final = BY_NAME["int64"]
BOOL: Final = BY_NAME["bool"]
STRING: Final = BY_NAME["string"]
# a sequence, an optional or a map: a value that is not one tensor, so it has neither shape nor bytes
SEQUENCE: Final = DType("sequence", 0, -1, "opaque")


def storage_bytes(elements: int, dtype: DType) -> int:
    """Bytes of `elements` packed values: ceil(elements · bits / 8)."""
    return -(-elements * dtype.bits // 8)
