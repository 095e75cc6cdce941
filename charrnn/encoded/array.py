"""Reads a long array from files by index, without holding it in memory.

    ids = Sharded.open(["shard-00000.ids", "shard-00001.ids"], np.dtype(np.uint8))
    ids[positions]                           # an array, of the shape of `positions`
    ids[1000:2000]                           # a part, not yet read; np.asarray reads it

The reads use the system's file cache, like a memory map's. But a map's pages count as memory of the process, and
releasing them after each batch took about twice as long as these reads. Besides, the system kills a process that reads
a truncated mapped file.
"""

from __future__ import annotations

import bisect
import os
import weakref
from collections.abc import Sequence
from typing import overload

import numpy as np


class Sharded:
    """An array `[N]` in several consecutive files."""

    def __init__(
        self, shards: Sequence[_Shard], first: int, length: int, shift: int = 0, borders: Sharded | None = None
    ):
        self._shards = shards
        self._starts = [0, *np.cumsum([len(shard) for shard in shards]).tolist()]
        self._first, self._length, self._shift, self._borders = first, length, shift, borders

    @classmethod
    def open(cls, paths: Sequence[str], dtype: np.dtype, borders: Sharded | None = None) -> Sharded:
        """Opens files of numbers.

        Args:
            paths: the files, in their order.
            dtype: the numbers' type.
            borders: int64 `[documents + 1]`, the position of each document's first number, and the last one's end.

        Returns:
            The array.
        """
        shards = [_Shard(path, dtype) for path in paths]
        return cls(shards, 0, sum(len(shard) for shard in shards), borders=borders)

    @property
    def dtype(self) -> np.dtype:
        """The numbers' type."""
        return self._shards[0].dtype

    @property
    def borders(self) -> Sharded:
        """The borders of the documents in this part, relative to its beginning."""
        assert self._borders is not None
        first, end = (bisect.bisect_left(self._borders, self._first + length) for length in (0, self._length))
        return Sharded(self._borders._shards, first, end - first, shift=-self._first)

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: slice) -> Sharded: ...

    @overload
    def __getitem__(self, index: int | np.ndarray) -> np.ndarray: ...

    def __getitem__(self, index: slice | int | np.ndarray) -> Sharded | np.ndarray:
        """Returns a part for a slice, which is not read yet; otherwise the numbers at `index`, in its shape.

        Args:
            index: a slice without a step, or positions from 0 to N - 1. Each sequence of positions along the last
                axis takes one read, from its lowest position to its highest.

        Raises:
            IndexError: the slice has a step, or a position is out of range.
        """
        if isinstance(index, slice):
            start, stop, step = index.indices(self._length)
            if step != 1:
                raise IndexError("a slice must not have a step")
            return Sharded(self._shards, self._first + start, max(0, stop - start), self._shift, self._borders)
        positions = np.asarray(index, np.int64)
        sequences = positions.reshape(-1, positions.shape[-1] if positions.ndim > 1 else 1)
        taken = np.empty(sequences.shape, self.dtype)
        if sequences.size:
            firsts, lasts = sequences.min(1), sequences.max(1)
            if firsts.min() < 0 or lasts.max() >= self._length:
                raise IndexError(f"positions must be from 0 to {self._length - 1}")
            for i, (first, last) in enumerate(zip(firsts.tolist(), lasts.tolist(), strict=True)):
                taken[i] = self._read(first, last + 1)[sequences[i] - first]
        return taken.reshape(positions.shape)[()]

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return self._read(0, self._length).astype(dtype or self.dtype, copy=False)

    def _read(self, start: int, stop: int) -> np.ndarray:
        """Returns the numbers from `start` to `stop` - 1 of this part."""
        start, stop = start + self._first, stop + self._first
        read, number = [], bisect.bisect_right(self._starts, start) - 1
        while start < stop:
            first, end = self._starts[number], min(stop, self._starts[number + 1])
            read.append(self._shards[number].read(start - first, end - first))
            start, number = end, number + 1
        numbers = read[0] if len(read) == 1 else np.concatenate([np.empty(0, self.dtype), *read])
        return numbers + self._shift if self._shift else numbers


class _Shard:
    """A file of numbers."""

    def __init__(self, path: str, dtype: np.dtype):
        self.dtype, self._path = dtype, path
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)
        self._length = os.fstat(self._file).st_size // dtype.itemsize

    def __len__(self):
        return self._length

    def read(self, start: int, stop: int) -> np.ndarray:
        """Returns the numbers from `start` to `stop`, `[stop - start]`; OSError if the file is shorter than before."""
        data = os.pread(self._file, (stop - start) * self.dtype.itemsize, start * self.dtype.itemsize)
        if len(data) < (stop - start) * self.dtype.itemsize:
            raise OSError(f"{self._path} is shorter than before")
        return np.frombuffer(bytearray(data), self.dtype)
