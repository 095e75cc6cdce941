"""A long array in files, read by index: it takes no memory, however much of it is read.

    ids = Sharded.open(["shard-00000.ids", "shard-00001.ids"], np.dtype(np.uint8))
    ids[positions]                           # an array, of the shape of `positions`
    ids[1000:2000]                           # a part, not yet read; np.asarray reads it

Reads go through the system's cache of files, as those of a memory map do. A map's pages, though, count as memory of the
process; to give them back after each batch took about twice as long as these reads. And where a mapped file is cut off,
the process that reads it is killed.
"""

from __future__ import annotations

import bisect
import os
import weakref
from collections.abc import Sequence
from typing import overload

import numpy as np


class Sharded:
    """One array `[N]` in several files one after another."""

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
            paths: the files.
            dtype: of the numbers.
            borders: int64 `[documents + 1]`, where in the array documents begin, and where the last one ends.
        """
        shards = [_Shard(path, dtype) for path in paths]
        return cls(shards, 0, sum(len(shard) for shard in shards), borders=borders)

    @property
    def dtype(self) -> np.dtype:
        """Of the numbers."""
        return self._shards[0].dtype

    @property
    def borders(self) -> Sharded:
        """The borders of documents that lie in this part, counted from its beginning."""
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
        """A part, for a slice without a step; else the numbers at positions of 0 … N - 1, in the shape of `index`.

        Each row of positions is read at once, from the first of them to the last.
        """
        if isinstance(index, slice):
            start, stop, step = index.indices(self._length)
            if step != 1:
                raise IndexError("a part has no step")
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
        """What stands at `start` … `stop` - 1 of this part."""
        start, stop = start + self._first, stop + self._first
        read, number = [], bisect.bisect_right(self._starts, start) - 1
        while start < stop:
            first, end = self._starts[number], min(stop, self._starts[number + 1])
            read.append(self._shards[number].read(start - first, end - first))
            start, number = end, number + 1
        numbers = read[0] if len(read) == 1 else np.concatenate([np.empty(0, self.dtype), *read])
        return numbers + self._shift if self._shift else numbers


class _Shard:
    """One file of numbers."""

    def __init__(self, path: str, dtype: np.dtype):
        self.dtype, self._path = dtype, path
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)
        self._length = os.fstat(self._file).st_size // dtype.itemsize

    def __len__(self):
        return self._length

    def read(self, start: int, stop: int) -> np.ndarray:
        data = os.pread(self._file, (stop - start) * self.dtype.itemsize, start * self.dtype.itemsize)
        if len(data) < (stop - start) * self.dtype.itemsize:
            raise OSError(f"{self._path} is shorter than it was")
        return np.frombuffer(bytearray(data), self.dtype)
