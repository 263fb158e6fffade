// Package hls makes HTTP Live Streaming (RFC 8216, and its second edition
// draft-pantos-hls-rfc8216bis for low latency) of a transport stream that is
// being relayed.
//
// A [Segmenter] cuts the stream where decoders can start, and finer where it can
// into partial segments. A [Playlist] holds what was cut for all who watch: it lists
// the segments, keeps their bytes for as long as clients may ask for them, and
// answers whether what a client waits for is there. The bytes are not
// copied: segments are slices of what the Segmenter was fed.
//
// The package has no clock: the time is passed in, and whoever waits for a
// Playlist to change brings a timer.
package hls

import "time"

// Config is how a stream is cut and listed.
type Config struct {
	// Segment is the duration that segments are cut to, as closely as the
	// random access points allow.
	Segment time.Duration
	// Part is the most that a partial segment lasts.
	Part time.Duration
	// Window is how many segments are listed: more where they are short, as a
	// playlist must not be shorter than three target durations.
	Window int
	// HoldBack is how far behind live a client that follows the parts is told to
	// play. The protocol asks for three parts at least, which is taken if it is
	// more.
	HoldBack time.Duration
	// Memory bounds the bytes of segments kept, listed or not. A playlist of
	// three target durations is kept whatever its size.
	Memory int
}

// rate is the unit of the durations that the package counts in: that of time
// stamps, ticks per second.
const rate = 90_000

// ticks converts a duration to time stamp ticks.
func ticks(d time.Duration) int64 {
	return int64(d/time.Second)*rate + int64(d%time.Second)*rate/int64(time.Second)
}

// duration converts time stamp ticks to a duration, rounded down.
func duration(t int64) time.Duration {
	return time.Duration(t/rate)*time.Second + time.Duration(t%rate)*time.Second/rate
}

// seconds converts time stamp ticks to seconds.
func seconds(t int64) float64 { return float64(t) / rate }

// ceil rounds time stamp ticks up to whole seconds.
func ceil(t int64) int64 { return (t + rate - 1) / rate }
