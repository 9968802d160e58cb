"""What a path is: by content, before anything is decoded."""

import pytest
from PIL import Image
from video_clips import numbered_frames, write_video

from tempo_lib.video.base import VideoError
from tempo_lib.video.clip import load_image
from tempo_lib.video.folder import frame_files
from tempo_lib.video.kinds import check_file, kind_of, local_path
from tempo_lib.video.stills import image_size


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("file:///a/b%20c.mp4", "/a/b c.mp4"),
        ("file:/a/b.mp4", "/a/b.mp4"),
        ("FILE://localhost/a/b.mp4", "/a/b.mp4"),
        ("file:///a/what?#1.mp4", "/a/what?#1.mp4"),
        ("a/b:/c.mp4", "a/b:/c.mp4"),
        ("~nobody-of-this-name/a.mp4", "~nobody-of-this-name/a.mp4"),
        ("x:/a.mp4", "x:/a.mp4"),
    ],
)
def test_a_local_path_is_what_the_text_means(text, wanted):
    assert str(local_path(text)) == wanted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "path is empty"),
        ("   ", "path is empty"),
        ("a" * 300, r"\(300 characters\): File name too long"),
        ("a\0b", "zero byte"),
        ("https:/a.b/c.mp4", "https://a.b/c.mp4: addresses are not fetched"),
        ("rtsp://camera/1", "not fetched"),
        ("s3://bucket/key.mp4", "not fetched"),
        ("file://elsewhere/a.mp4", r"another machine \(elsewhere\)"),
        ("file:///a\0b.mp4", "zero byte"),
    ],
)
def test_what_names_no_file_is_one_line(text, said):
    with pytest.raises(VideoError, match=said) as caught:
        local_path(text)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


def test_a_file_named_like_an_address_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "http:").mkdir()
    (tmp_path / "http:" / "a.mp4").touch()
    assert local_path("http:/a.mp4").exists()


def test_the_first_bytes_tell_the_kind(tmp_path):
    frame = Image.new("RGB", (16, 16))
    for name, wanted in [
        ("a.png", "still"),
        ("a.jpg", "still"),
        ("a.bmp", "still"),
        ("a.tif", "still"),
    ]:
        frame.save(tmp_path / name)
        assert kind_of((tmp_path / name).rename(tmp_path / "hidden.bin")) == wanted
    for name in ("clip.mp4", "clip.mkv", "clip.avi", "clip.ts", "clip.flv", "clip.mov"):
        path = write_video(tmp_path / name, numbered_frames(3))
        assert kind_of(path.rename(tmp_path / "hidden.png")) == "clip"
    (tmp_path / "words").write_text("words")
    assert kind_of(tmp_path / "words") == "unknown" and kind_of(tmp_path) == "folder"


def test_an_animation_is_told_from_a_still(tmp_path):
    one, two = Image.new("RGB", (16, 16)), Image.new("RGB", (16, 16), "red")
    for suffix in ("png", "webp"):
        one.save(tmp_path / f"one.{suffix}", lossless=True)
        one.save(tmp_path / f"two.{suffix}", save_all=True, append_images=[two], lossless=True)
        assert kind_of(tmp_path / f"one.{suffix}") == "still"
        assert kind_of(tmp_path / f"two.{suffix}") == "animation"
        with pytest.raises(VideoError, match="an animation of 2 pictures, not one"):
            load_image(tmp_path / f"two.{suffix}")


def test_what_is_no_file_is_refused_before_it_is_opened(tmp_path):
    with pytest.raises(VideoError, match="a device"):
        check_file(tmp_path.__class__("/dev/zero"))
    with pytest.raises(VideoError, match="no such file"):
        check_file(tmp_path / "none")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(VideoError, match="symbolic links"):
        check_file(tmp_path / "loop")


def test_numbered_frames_come_first_in_natural_order(tmp_path):
    for name in ("f10.png", "f9.png", "cover.png", "about.txt"):
        Image.new("RGB", (8, 8)).save(tmp_path / name, format="PNG")
    assert [file.name for file in frame_files(tmp_path)] == ["f9.png", "f10.png", "cover.png"]
    for name in ("a.png", "b.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    for name in ("f10.png", "f9.png"):
        (tmp_path / name).unlink()
    assert [file.name for file in frame_files(tmp_path)] == ["a.png", "b.png", "cover.png"]


def test_the_size_of_an_image_is_that_of_the_upright_one(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 10)).save(tmp_path / "turned.jpg", exif=exif)
    assert (
        image_size(tmp_path / "turned.jpg") == load_image(tmp_path / "turned.jpg").frames.shape[1:3]
    )
