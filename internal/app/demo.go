package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/acequia-tv/acequia/internal/cli"
	"github.com/acequia-tv/acequia/internal/config"
	"github.com/acequia-tv/acequia/internal/demo"
	"github.com/acequia-tv/acequia/internal/native/vod"
)

// defaultListen is the default of the setting listen. The demo keeps to this
// machine unless told otherwise.
const defaultListen = ":6878"

// Demo shares a clip over BitTorrent on this machine, serves it through a pool
// of native engines, and prints an address that plays, until ctx ends.
func Demo(ctx context.Context, inv cli.Invocation) (err error) {
	// What the demonstration leaves behind is nothing.
	dir, err := os.MkdirTemp("", "acequia-demo-")
	if err != nil {
		return fmt.Errorf("make a directory for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	seeder, err := vod.Seed(vod.Config{ListenHost: "127.0.0.1"}, vod.ShareBytes(demo.ClipName, demo.Clip()), inv.Log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, seeder.Close()) }()

	s, err := newServer(ctx, demoSettings(inv, dir, seeder.Addr().String()))
	if err != nil && demoMayMove(inv, err) {
		fmt.Fprintf(inv.Stdout, "Port %s is taken, so the demo takes another one.\n", portOf(inv.Config.Listen))
		inv.Config.Listen = "127.0.0.1:0"
		s, err = newServer(ctx, demoSettings(inv, dir, seeder.Addr().String()))
	}
	if err != nil {
		return err
	}
	return s.runThen(ctx, func() { tellDemo(inv.Stdout, s.listener.Addr(), seeder.Infohash()) })
}

// demoSettings are the settings of the server, made to need nothing but this
// machine: native engines that talk to the seeder and to nobody else.
func demoSettings(inv cli.Invocation, dir, seeder string) cli.Invocation {
	c := &inv.Config
	c.Data = dir
	c.Pool.Provider = config.ProviderNative
	c.Engine.P2PHost = "127.0.0.1"
	c.Engine.Peers = []string{seeder}
	c.Engine.DHT, c.Engine.LSD, c.Engine.UPnP = false, false, false
	c.Engine.HTTPTrackers, c.Engine.UDPTrackers = false, false
	if inv.Settings.Origin("listen").Layer == config.Default && c.Listen == defaultListen {
		c.Listen = "127.0.0.1" + defaultListen
	}
	return inv
}

// demoMayMove tells whether the demo failed because the port is taken that
// nobody asked for by name.
func demoMayMove(inv cli.Invocation, err error) bool {
	return inv.Settings.Origin("listen").Layer == config.Default && portTaken(err)
}

func portOf(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return port
}

// tellDemo prints what to do with the demo.
func tellDemo(out io.Writer, address net.Addr, infohash string) {
	url := fmt.Sprintf("http://%s/ace/getstream?infohash=%s", address, infohash)
	fmt.Fprintf(out, `
Acequia shares a clip over BitTorrent on this machine, and plays it from there:

    %s

Open that address in VLC or mpv, or ask ffprobe what it is:

    ffprobe '%s'

Ctrl+C stops the demo.
`, url, url)
}
