"""What a file of operators may hold."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[\w.]+(::[\w.]+)?$")]
Function = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Number = Annotated[int, Field(ge=0, strict=True)]


class OperatorModel(BaseModel):
    """Work for each element: of the output (default) or of an input; the output has the shape of input `shape_of`."""

    model_config = ConfigDict(extra="forbid")

    work: Annotated[dict[Function, Number], Field(description="mac, mul, add, and special functions by name",
                                                  examples=[{"mul": 2, "exp": 1}])]  # fmt: skip
    per: Annotated[Literal["output", "input"], Field(examples=["output"])] = "output"
    shape_of: Annotated[int, Field(ge=0, examples=[0])] = 0


class OperatorsFile(BaseModel):
    """A file of operators."""

    model_config = ConfigDict(extra="forbid")

    format: Annotated[Literal["picojoule/operators/1"], Field(examples=["picojoule/operators/1"])]
    operators: Annotated[dict[Name, OperatorModel], Field(
        examples=[{"com.acme::Swish": {"work": {"mul": 2, "sigmoid": 1}}}])]  # fmt: skip
