import numpy as np

from tempo_lib.video.clip import Video, VideoStream
from tempo_lib.video.moments import pick_frames, segment_edges


def test_segment_edges_lie_halfway_between_centres():
    np.testing.assert_allclose(segment_edges(np.array([2.0, 6.0, 10.0])), [0, 4, 8, 12])
    np.testing.assert_allclose(segment_edges(np.array([2.0])), [0, 4])


def test_pick_frames_reads_a_stream_and_a_video_alike():
    frames_THW3 = np.empty((20, 8, 12, 3), np.uint8)
    frames_THW3[:] = np.arange(20, dtype=np.uint8)[:, None, None, None]
    video = Video(frames_THW3)
    stream = VideoStream(iter_frames=lambda: iter(video.frames), fps=2.0, seconds=video.seconds)
    wanted = [0.0, 2.1, 9.9]
    for source in (video, stream):
        assert [int(frame.max()) for frame in pick_frames(source, wanted)] == [0, 4, 19]
