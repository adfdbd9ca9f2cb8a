"""One guard around every parser: one sentence, the right exit code, nothing that waits or grows without end."""

import errno
import json
import os

import pytest

from edge.errors import InputError, MachineError
from edge.safety.guard import (
    PARSER_FAULTS,
    parse_json,
    parsing,
    printable,
    read_bytes,
    read_text,
    require_picture,
    require_pixels,
    require_plain,
    require_regular,
)
from edge.safety.limits import Limits, limited, limits, parse_limits


@pytest.mark.parametrize("fault", PARSER_FAULTS, ids=lambda fault: fault.__name__)
def test_every_parser_fault_is_the_files_fault(fault):
    error = fault("utf-8", b"", 0, 1, "x") if fault is UnicodeDecodeError else fault("no such luck")
    sentence = r"^x.json: is not valid JSON \(.*(no such luck|nested too deeply).*\); make it again$"
    with pytest.raises(InputError, match=sentence), parsing("x.json", "valid JSON", "make it again"):
        raise error


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES, errno.ENOMEM])
def test_the_machines_faults_stay_the_machines(number):
    with pytest.raises(OSError) as caught, parsing("x", "a file", "copy it"):
        raise OSError(number, os.strerror(number))
    assert caught.value.errno == number


@pytest.mark.parametrize("text", ["std::bad_alloc", "basic_ios::clear: iostream error", "No space left on device"])
def test_a_native_librarys_want_of_memory_or_disk_is_the_machines(text):
    with pytest.raises(MachineError), parsing("x", "a graph", "export it again"):
        raise RuntimeError(f"Exception from src/core.cpp:92:\n{text}")


def test_a_pipe_a_device_and_a_folder_are_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, sentence in (
        (tmp_path / "pipe", "is a pipe"),
        (tmp_path, "is a folder"),
        (tmp_path / "none", "no such image"),
        (tmp_path / ("n" * 300), "cannot be the name"),
        (tmp_path / "a\0b", "cannot be the name"),
    ):
        with pytest.raises(InputError, match=sentence):
            require_regular(path, "image")
    with pytest.raises(InputError, match="is a device"):
        read_bytes(type(tmp_path)("/dev/zero"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[" * 100_000, "nested too deeply"),
        ("[" * 200 + "]" * 200, "200 deep|65 deep"),
        ("9" * 5000, "5000 digits"),
        ('{"a": NaN}', "no number in JSON"),
        ('{"a": 1e999}', "not finite"),
        (r'{"a": "\ud800"}', "no Unicode text"),
        ('{"a": ', "is not valid JSON"),
        (b"\xff\xfe", "is not valid JSON"),
        ('{"a": {"b": 1, "b": 2}}', "a name stands twice in a table"),
    ],
    ids=["bottomless", "deep", "digits", "nan", "overflow", "surrogate", "cut", "bytes", "twice"],
)
def test_json_that_would_fail_later_is_refused_at_once(text, sentence):
    with pytest.raises(InputError, match=sentence):
        parse_json(text, "plan.json")


def test_a_text_file_is_utf_8_and_of_a_size(tmp_path):
    path = tmp_path / "t.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1")
    assert read_text(path) == "a = 1"
    path.write_bytes(b"\xff")
    with pytest.raises(InputError, match="UTF-8"):
        read_text(path)
    with limited(Limits(document_bytes=4)), pytest.raises(InputError, match="--limit document_bytes=N"):
        path.write_text("a = 10")
        read_text(path)


def test_parsed_tables_are_held_to_depth_without_recursion():
    value = inner = {}
    for _ in range(10_000):
        inner["a"] = {}
        inner = inner["a"]
    with pytest.raises(InputError, match="deep in each other"):
        require_plain(value, "x.toml")


@pytest.mark.parametrize("head", [b"%!PS-Adobe-3.0 EPSF-3.0\n", b"RIFF\0\0\0\0WEBP", b"GIF89a", b"<svg/>", b""])
def test_only_named_decoders_are_asked(tmp_path, head):
    path = tmp_path / "x.png"
    path.write_bytes(head)
    with pytest.raises(InputError, match="is none of PNG, JPEG, TIFF, BMP"):
        require_picture(path)


def test_pixels_are_counted_before_they_are_decoded():
    require_pixels("x.png", 10_000, 10_000)
    with pytest.raises(InputError, match="--limit pixels=N"):
        require_pixels("x.png", 100_000, 100_000)
    with limited(parse_limits(["pixels=1e11"])):
        require_pixels("x.png", 100_000, 100_000)
    assert limits() == Limits()


def test_control_characters_do_not_reach_a_terminal():
    assert printable("a\x1b[2Jb\rc\nd\udcffé") == "a\\x1b[2Jb\\rc\nd\\udcffé"


def test_what_we_write_ourselves_is_read(tmp_path):
    table = {"a": [1, 2.5, None, True, "é"], "b": {"c": -(2**63)}}
    assert parse_json(json.dumps(table), "x") == table
