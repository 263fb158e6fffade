#!/bin/sh
# Makes clip.ts, the clip of the demonstration, from ffmpeg's generators alone.
# Encoders differ between versions of ffmpeg, so the result is committed.
set -eu
cd "$(dirname "$0")"
exec ffmpeg -hide_banner -loglevel error -y \
	-f lavfi -i "testsrc2=size=640x360:rate=25:duration=20" \
	-f lavfi -i "sine=frequency=440:beep_factor=4:sample_rate=48000:duration=20" \
	-c:v libx264 -preset veryslow -profile:v high -crf 30 -maxrate 700k -bufsize 700k \
	-g 25 -keyint_min 25 -sc_threshold 0 -pix_fmt yuv420p \
	-c:a aac -b:a 64k -ac 2 \
	-f mpegts -mpegts_flags +resend_headers -muxdelay 0.3 \
	-metadata service_name="Acequia demo" -metadata service_provider="Acequia" \
	clip.ts
