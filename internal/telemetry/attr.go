package telemetry

// Keys of log attributes. One thing has one key in every line, so that a line
// can be found by what it is about.
const (
	KeyStream  = "stream"  // name of the stream: its content
	KeyEngine  = "engine"  // identity of the engine in its pool
	KeyViewer  = "viewer"  // number of the viewer
	KeyContent = "content" // what was asked for
	KeySession = "session" // identity of the session on its engine
	KeyErr     = "err"     // an error
)
