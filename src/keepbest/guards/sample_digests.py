"""A sample's fingerprint: equal for samples that are equal bit for bit."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Update = Callable[[bytes | bytearray], None]


class UnhashableSampleError(TypeError):
    """A sample holds something whose bits cannot be told."""


def digest(sample: Any) -> bytes:
    """Return 16 bytes that stand for a whole sample: its values, types, shapes and structure.

    Tensors, arrays, PIL images, numbers, strings, bytes and None can be told, and tuples, lists and dicts of these. A
    list equals a tuple of the same items, and the order of a dict's keys is no difference.

    Raises:
        UnhashableSampleError: the sample holds anything else.
    """
    fingerprint = blake2b(digest_size=16)
    _feed(fingerprint.update, sample)
    return fingerprint.digest()


def _feed(update: Update, value: Any) -> None:
    """Feed a value so that no other value gives the same bytes: its kind and its size come first."""
    if isinstance(value, Tensor):
        _feed_tensor(update, value)
    elif isinstance(value, (np.ndarray, np.generic)):
        _feed_array(update, np.asarray(value))
    elif isinstance(value, (tuple, list)):
        _feed_items(update, b"sequence", value)
    elif isinstance(value, dict):
        _feed_items(update, b"dict", sorted(value.items(), key=_key_text))
    elif all(hasattr(value, name) for name in ("tobytes", "size", "mode")):  # PIL.Image, which need not be installed
        _feed_bytes(update, f"image {value.mode} {value.size}".encode(), value.tobytes())
    else:
        _feed_plain(update, value)


def _feed_items(update: Update, kind: bytes, items: Any) -> None:
    update(b"%s %d;" % (kind, len(items)))
    for item in items:
        _feed(update, item)


def _key_text(item: tuple[Any, Any]) -> str:
    """Return what a dict's items are sorted by: keys of several types have no order of their own."""
    return repr(item[0])


def _feed_plain(update: Update, value: Any) -> None:
    if isinstance(value, str):
        _feed_bytes(update, b"str", value.encode(errors="surrogatepass"))
    elif isinstance(value, (bytes, bytearray)):
        _feed_bytes(update, b"bytes", value)
    elif isinstance(value, float):
        _feed_bytes(update, b"float", struct.pack("<d", value))
    elif value is None or isinstance(value, (bool, int, complex)):
        _feed_bytes(update, type(value).__name__.encode(), repr(value).encode())
    else:
        raise UnhashableSampleError(f"a sample holds a {type(value).__name__}, which cannot be compared")


def _feed_bytes(update: Update, kind: bytes, content: bytes | bytearray) -> None:
    update(b"%s %d;" % (kind, len(content)))
    update(content)


def _feed_tensor(update: Update, tensor: Tensor) -> None:
    if tensor.layout is not torch.strided or tensor.is_quantized:
        raise UnhashableSampleError(f"a sample holds a tensor of layout {tensor.layout}, which cannot be compared")
    update(_header("tensor", tensor.dtype, tensor.shape))
    update(_array_of(tensor).tobytes())


def _array_of(tensor: Tensor) -> NDArray[Any]:
    try:
        return tensor.numpy(force=True)
    except TypeError:  # a type that NumPy does not have, such as bfloat16
        return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()


def _feed_array(update: Update, array: NDArray[Any]) -> None:
    if array.dtype.hasobject:
        raise UnhashableSampleError("a sample holds an array of Python objects, which cannot be compared")
    update(_header("array", array.dtype, array.shape))
    update(array.tobytes())


@lru_cache(maxsize=1024)
def _header(kind: str, dtype: object, shape: tuple[int, ...]) -> bytes:
    return f"{kind} {dtype} {tuple(shape)};".encode()
