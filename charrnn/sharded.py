"""A long array in files, read by index through memory maps: it takes no memory, however much of it is read.

    ids = Sharded.open(["shard-00000.ids", "shard-00001.ids"], np.dtype(np.uint8))
    ids[positions]                           # an array, of the shape of `positions`
    ids[1000:2000]                           # a part, not yet read; np.asarray reads it
"""

from __future__ import annotations

import bisect
import mmap
from collections.abc import Sequence

import numpy as np


class Sharded:
    """One array `[N]` in several files one after another. What is read is a copy, and its pages are given back."""

    def __init__(self, shards: Sequence[_Map], first: int, length: int, shift: int = 0, borders: Sharded | None = None):
        self._shards = shards
        self._starts = np.cumsum([0, *(len(shard) for shard in shards)])
        self._first, self._length, self._shift, self._borders = first, length, shift, borders

    @classmethod
    def open(cls, paths: Sequence[str], dtype: np.dtype, borders: Sharded | None = None) -> Sharded:
        """Maps files of numbers.

        Args:
            paths: the files; an empty one is no part of the array.
            dtype: of the numbers.
            borders: int64 `[documents + 1]`, where in the array documents begin, and where the last one ends.
        """
        shards = [_Map(path, dtype) for path in paths]
        return cls(shards, 0, sum(len(shard) for shard in shards), borders=borders)

    @property
    def dtype(self) -> np.dtype:
        """Of the numbers."""
        return self._shards[0].dtype

    @property
    def borders(self) -> Sharded:
        """The borders of documents that lie in this part, counted from its beginning."""
        first, end = (bisect.bisect_left(self._borders, self._first + length) for length in (0, self._length))
        return Sharded(self._borders._shards, first, end - first, shift=-self._first)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: slice | int | np.ndarray) -> Sharded | np.ndarray:
        """A part, for a slice without a step; else the numbers at positions of 0 … N - 1, in the shape of `index`."""
        if isinstance(index, slice):
            start, stop, step = index.indices(self._length)
            if step != 1:
                raise IndexError("a part has no step")
            return Sharded(self._shards, self._first + start, max(0, stop - start), self._shift, self._borders)
        positions = np.asarray(index, np.int64)
        if positions.size and not (0 <= positions.min() and positions.max() < self._length):
            raise IndexError(f"positions must be from 0 to {self._length - 1}")
        return self._take(positions.ravel() + self._first).reshape(positions.shape) + self.dtype.type(self._shift)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        read = np.empty(self._length, self.dtype)
        for start, shard in zip(self._starts - self._first, self._shards, strict=False):
            part = slice(max(0, start), max(0, min(self._length, start + len(shard))))
            if part.start < part.stop:
                read[part] = shard.read(slice(part.start - start, part.stop - start))
        return (read + self.dtype.type(self._shift)).astype(dtype or self.dtype, copy=False)

    def _take(self, positions: np.ndarray) -> np.ndarray:
        numbers = np.searchsorted(self._starts, positions, side="right") - 1
        order = np.argsort(numbers.astype(np.uint16), kind="stable")  # of 16 bits: a radix sort
        found, counts = np.unique(numbers, return_counts=True)
        taken = np.empty(positions.shape, self.dtype)
        for number, part in zip(found, np.split(order, np.cumsum(counts)[:-1]), strict=True):
            taken[part] = self._shards[number].read(positions[part] - self._starts[number])
        return taken


class _Map:
    """One file of numbers."""

    def __init__(self, path: str, dtype: np.dtype):
        self.dtype, self._map = dtype, None
        self._numbers = np.empty(0, dtype)
        with open(path, "rb") as file:
            if file.seek(0, 2):  # no empty file can be mapped
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                self._numbers = np.frombuffer(self._map, dtype)
                self._advise("MADV_RANDOM")

    def __len__(self):
        return len(self._numbers)

    def read(self, where: slice | np.ndarray) -> np.ndarray:
        """A copy of a part, or of the numbers at positions."""
        read = self._numbers[where].copy() if isinstance(where, slice) else self._numbers[where]
        self._advise("MADV_DONTNEED")  # else all pages that were read count as resident
        return read

    def _advise(self, advice: str) -> None:
        if hasattr(mmap, advice):  # not on every system
            self._map.madvise(getattr(mmap, advice))
