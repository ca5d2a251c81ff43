"""application/x-npz: archives of arrays, sparse matrices, and bombs."""

from __future__ import annotations

import io
import tracemalloc
import zipfile

import numpy as np
import pytest

from serving.invocation import UNNAMED, Array
from tests.unit.serving.codecs.contract import LIMIT, EncoderContract, one_input
from tests.unit.serving.codecs.test_npy import saved


def archive(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive of these files, the same bytes whenever it is made: an entry states no time of writing."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in members.items():
            file.writestr(zipfile.ZipInfo(name), data, method)
    return buffer.getvalue()


def packed(**named: Array) -> bytes:
    """An archive as numpy writes it."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **named)
    return buffer.getvalue()


class TestNpz(EncoderContract):
    """The contract of codecs, and the rules of archives."""

    content_type = "application/x-npz"
    carries_several = True
    samples = (
        packed(a=np.float32([[1, 2]]), b=np.array(["x"])),
        archive({"arr_0.npy": saved(np.arange(4))}, zipfile.ZIP_STORED),
    )

    def test_names(self) -> None:
        """Members give their names to the tensors; the single one of an archive without names has none."""
        assert sorted(self.read(packed(a=np.ones(2), b=np.ones(3)))) == ["a", "b"]
        assert list(self.read(packed(arr_0=np.ones(2)))) == [UNNAMED]
        assert sorted(self.read(packed(arr_0=np.ones(2), arr_1=np.ones(3)))) == ["arr_0", "arr_1"]

    def test_numpy_reads_what_is_written(self) -> None:
        """Answers are archives that numpy loads, with all outputs by name, and equal answers are equal bytes."""
        body = self.write([[1.5]], [["x"]])
        with np.load(io.BytesIO(body)) as found:
            assert {name: found[name].tolist() for name in found} == {"a": [[1.5]], "b": [["x"]]}
        assert body == self.write([[1.5]], [["x"]])

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (b"no archive", "malformed NPZ archive"),
            (archive({}), "empty"),
            (archive({"a.txt": b"x"}), "'a.txt' that is no NPY file"),
            (archive({"a.npy": b"x"}), "'a' in the NPZ archive: not an NPY file"),
            (archive({"a.npy": saved(np.zeros(3))[:-1]}), "'a' in the NPZ archive: the NPY header says"),
            (archive({"a.npy": saved(np.zeros(3))}, zipfile.ZIP_LZMA), "another method than deflate"),
            (archive({f"{at}.npy": b"" for at in range(1001)}, zipfile.ZIP_STORED), "more than 1000 members"),
        ],
    )
    def test_refuses(self, body: bytes, message: str) -> None:
        """What is no archive of arrays is a 400 that names the member."""
        self.refuse(body, message)

    def test_members_of_one_name(self) -> None:
        """A name that is there twice is a 400."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as file:
            file.writestr("a.npy", saved(np.zeros(1)))
            file.writestr("b.npy", saved(np.ones(1)))
        self.refuse(buffer.getvalue().replace(b"b.npy", b"a.npy"), "twice")

    def test_pickles(self) -> None:
        """Members that are pickles are a 400."""
        self.refuse(archive({"a.npy": saved(np.array([{}], object))}), "pickles")

    def test_checksums_count(self) -> None:
        """A member whose data was changed is a 400."""
        body = bytearray(archive({"a.npy": saved(np.arange(4))}, zipfile.ZIP_STORED))
        end_of_header = body.index(b"\n", body.index(b"\x93NUMPY"))
        body[end_of_header + 1] ^= 1
        self.refuse(bytes(body), "CRC")

    def test_broken_streams(self) -> None:
        """Deflated data that is broken is a 400."""
        body = bytearray(archive({"a.npy": saved(np.arange(100))}))
        body[50:60] = b"\xff" * 10
        self.refuse(bytes(body), "malformed NPZ archive")

    def test_encrypted(self) -> None:
        """A member that needs a password is a 400."""
        body = bytearray(archive({"a.npy": saved(np.arange(4))}))
        body[6] |= 1
        body[body.index(b"PK\x01\x02") + 8] |= 1
        self.refuse(bytes(body), "encrypted")

    def test_bombs_do_not_go_off(self) -> None:
        """Members that unpack to more than the limit, alone or together, are a 400 and take no more memory than it."""
        zeros = saved(np.zeros(1 << 21, np.uint8))
        bombs = [archive({"a.npy": zeros}), archive({f"{at}.npy": saved(np.zeros(1 << 18)) for at in range(8)})]
        tracemalloc.start()
        for bomb in bombs:
            self.refuse(bomb, "unpacks to more than the limit")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 6 * LIMIT

    def test_sizes_that_lie(self) -> None:
        """An entry that states a smaller size than its data does not get past the limit."""
        zeros = saved(np.zeros(1 << 21, np.uint8))
        body = archive({"a.npy": zeros})
        stated = len(zeros).to_bytes(4, "little")
        self.refuse(body.replace(stated, (1000).to_bytes(4, "little")), ".")


def matrix(**parts: object) -> bytes:
    """A sparse matrix as scipy writes it, with some parts changed; None drops one."""
    csr = {"format": b"csr", "shape": [2, 3], "data": [1.5, 2, 4], "indices": [0, 2, 1], "indptr": [0, 2, 3]}
    return packed(**{name: np.asarray(part) for name, part in (csr | parts).items() if part is not None})


class TestSparse(EncoderContract):
    """Archives for a model's signature, where a sparse matrix of scipy's is one tensor."""

    content_type = "application/x-npz"
    carries_several = True
    signature = one_input(None, 3)
    samples = (matrix(), matrix(format="coo", row=[0, 1, 1], col=[0, 2, 1]))

    @pytest.mark.parametrize(
        "body",
        [
            matrix(),
            matrix(format="csr"),
            matrix(format=b"csc", indices=[0, 1, 0], indptr=[0, 1, 2, 3], data=[1.5, 4, 2]),
            matrix(format=b"coo", row=[0, 0, 1, 1], col=[0, 2, 1, 1], data=[1.5, 2, 3, 1]),
        ],
        ids=["csr", "str", "csc", "coo"],
    )
    def test_is_made_dense(self, body: bytes) -> None:
        """Rows of csr, csc and coo matrices stand at their places; values at one place are added."""
        assert self.read(body)[UNNAMED].tolist() == [[1.5, 0, 2], [0, 4, 0]]

    @pytest.mark.parametrize(
        ("parts", "message"),
        [
            ({"format": b"dia"}, "layout 'dia'"),
            ({"format": b"\xff\xfe"}, "layout"),
            ({"format": 7}, "layout '7'"),
            ({"indptr": None}, "layout 'csr'"),
            ({"shape": [2]}, "no shape"),
            ({"shape": [2.0, 3.0]}, "no shape"),
            ({"shape": [-1, -1]}, "no shape to fill"),
            ({"shape": [0, 3]}, "no shape to fill"),
            ({"shape": [2**40, 2**40]}, "unpacks to more"),
            ({"shape": np.array([2**64 - 1, 2], np.uint64)}, "unpacks to more"),
            ({"indices": [0, 3, 1]}, "outside its shape"),
            ({"indices": [0, -1, 1]}, "outside its shape"),
            ({"indices": [0.0, 1, 1]}, "list of whole numbers"),
            ({"indices": [0, 2]}, "row pointers"),
            ({"indptr": [0, 3]}, "row pointers"),
            ({"indptr": [0, 4, 3]}, "row pointers"),
            ({"indptr": [1, 2, 3]}, "row pointers"),
            ({"data": [1.5, 2]}, "found 3 for 2"),
            ({"data": ["a", "b", "c"]}, "found 3 for 3"),
            ({"format": b"coo", "row": [0, 1], "col": [0, 1, 2]}, "outside its shape"),
        ],
    )
    def test_refuses(self, parts: dict[str, object], message: str) -> None:
        """A matrix that contradicts itself or unpacks to more than the limit is a 400."""
        self.refuse(matrix(**parts), message)
