// Command acequia gives a home one address for every AceStream channel: a pool
// of engines, and a proxy that shares their streams among viewers.
package main

import (
	"os"
	_ "time/tzdata" // for TZ in an image that holds no other files

	"github.com/acequia-tv/acequia/internal/app"
	"github.com/acequia-tv/acequia/internal/cli"
)

func main() {
	os.Exit(cli.Main(cli.System{
		Args: os.Args, Environ: os.Environ(),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Exit: os.Exit,
	}, cli.Apps{Serve: app.Serve, Plan: app.Plan, Proxy: app.Proxy, Engine: app.Engine, Demo: app.Demo}))
}
