package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
)

// writeTable writes the results as a table of markdown.
func writeTable(out io.Writer, all []result) {
	w := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	row := func(cells ...any) {
		for _, c := range cells {
			fmt.Fprintf(w, "| %v\t", c)
		}
		fmt.Fprintln(w, "|")
	}
	row("scenario", "CPU s/GB", "floor", "ratio", "bytes/write", "floor", "lost", "wrong", "closed",
		"behind the engine, ms, p50", "p99", "longest gap, ms", "join, ms, p50", "p99", "bad", "RSS MB", "of it rings", "KB/viewer", "goroutines")
	row("---", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:")
	for _, r := range all {
		seen := r.Relay.Watched
		row(r.Scenario, fixed(r.Relay.PerGB, 3), fixed(r.Floor.PerGB, 3), fixed(r.Ratio, 2), r.Relay.PerWrite, r.FloorWrite,
			seen.Lost, seen.Wrong, seen.Closed, fixed(seen.AgeP50-seen.EngineP50, 1), fixed(seen.AgeP99-seen.EngineP99, 1), fixed(seen.GapMax, 0),
			fixed(r.Joins.P50, 1), fixed(r.Joins.P99, 1), r.Joins.Bad, fixed(float64(r.Loaded.RSS)/1e6, 1), fixed(float64(r.Loaded.Rings)/1e6, 1),
			fixed(r.perViewer()/1e3, 1), r.Loaded.Goroutines)
	}
	_ = w.Flush() // as Fprintf to a terminal: nobody to tell
}

func fixed(v float64, digits int) string { return fmt.Sprintf("%.*f", digits, v) }

// perViewer is the memory that grew with the viewers and their streams, but
// for the streams' rings, in bytes for each viewer.
func (r result) perViewer() float64 {
	s, err := parseScenario(r.Scenario)
	if err != nil {
		return 0
	}
	return float64(r.Loaded.RSS-r.Loaded.Rings-r.Idle.RSS) / float64(s.Streams*s.Viewers)
}

func writeJSON(file string, all []result) error {
	raw, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(raw, '\n'), 0o644)
}

// faults returns an error if any viewer of acequia did not get every packet.
// The floor's viewers are not judged: it waits for nobody's reader.
func faults(all []result) error {
	for _, r := range all {
		if w := r.Relay.Watched; w.Lost+w.Wrong+w.Closed > 0 || r.Joins.Bad > 0 {
			return fmt.Errorf("scenario %s: %d packets lost, %d wrong, %d connections closed, %d bad joins", r.Scenario, w.Lost, w.Wrong, w.Closed, r.Joins.Bad)
		}
	}
	return nil
}
