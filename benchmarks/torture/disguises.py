"""What a pickle may be wrapped in, and still reach a reader that is not careful."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable

MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."
"""How torch's files began before 2020: a magic number and a version, each a pickle of its own."""
SYSTEM = b"\x80\x02}."


def zipped(files: dict[str, bytes], *, how: int = zipfile.ZIP_STORED) -> bytes:
    """An archive with these members."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, how)
    return out.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    """The same as a tar file."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            told = tarfile.TarInfo(name)
            told.size = len(content)
            archive.addfile(told, io.BytesIO(content))
    return out.getvalue()


def torch_files(content: bytes) -> dict[str, bytes]:
    """The members of a file of torch's."""
    return {
        "archive/data.pkl": content,
        "archive/version": b"3\n",
        "archive/byteorder": b"little",
        "archive/data/0": bytes(64),
    }


def array(content: bytes) -> bytes:
    """A .npy file of objects, which numpy reads by unpickling."""
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


def tensors(content: bytes) -> bytes:
    """A safetensors file whose one tensor is the pickle's bytes, and whose metadata hold it once more."""
    told = {
        "__metadata__": {"py/reduce": base64.b64encode(content).decode()},
        "data.pkl": {"dtype": "U8", "shape": [len(content)], "data_offsets": [0, len(content)]},
    }
    header = json.dumps(told).encode()
    return struct.pack("<Q", len(header)) + header + content


def in_json(content: bytes) -> bytes:
    """As libraries write it that put pickles into JSON."""
    raw = base64.b64encode(content).decode()
    call = [{"py/type": "os.system"}, {"py/tuple": ["true"]}]
    return json.dumps({"kind": "regex", "py/object": "os.system", "py/reduce": call, "__pickle__": raw}).encode()


def in_yaml(content: bytes) -> bytes:
    """YAML's own tags that call functions."""
    return b"!!python/object/apply:os.system ['true']\n---\n!!binary " + base64.b64encode(content) + b"\n"


def in_toml(content: bytes) -> bytes:
    """A config with a text that some program may unpickle."""
    return b'seed = "!!python/object/apply:os.system"\npickle = "' + base64.b64encode(content) + b'"\n'


DISGUISES: dict[str, Callable[[bytes], bytes]] = {
    "as it is": lambda content: content,
    "torch's zip": lambda content: zipped(torch_files(content)),
    "torch's zip, deflated": lambda content: zipped(torch_files(content), how=zipfile.ZIP_DEFLATED),
    "torch's old format": lambda content: MAGIC + SYSTEM + content,
    "torch's tar": lambda content: tarred({"pickle": content, "tensors": content, "storages": content, "sys_info": SYSTEM}),
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zlib": zlib.compress,
    "gzip in gzip": lambda content: gzip.compress(gzip.compress(content)),
    "zip in zip": lambda content: zipped({"inner.zip": zipped({"data.pkl": content})}),
    "tar in gzip": lambda content: gzip.compress(tarred({"data.pkl": content})),
    "objects of numpy": array,
    "objects of numpy in a zip": lambda content: zipped({"arr_0.npy": array(content)}),
    "DCP's metadata": lambda content: zipped({".metadata": content, "__0_0.distcp": zipped(torch_files(content))}),
    "a script of torch's": lambda content: zipped({"code/__torch__.py": b"import os\n", **torch_files(content), "constants.pkl": content}),
    "safetensors": tensors,
    "JSON": in_json,
    "YAML": in_yaml,
    "TOML": in_toml,
}  # fmt: skip
