//go:build tools

package acequia

import (
	_ "github.com/alecthomas/kong"
	_ "github.com/anacrolix/dht/v2"
	_ "github.com/anacrolix/torrent"
	_ "github.com/anacrolix/torrent/bencode"
	_ "github.com/anacrolix/torrent/metainfo"
	_ "github.com/anacrolix/torrent/storage"
	_ "github.com/anacrolix/torrent/tracker/http/server"
	_ "github.com/asticode/go-astits"
	_ "github.com/goccy/go-yaml"
	_ "github.com/google/go-cmp/cmp"
	_ "github.com/lmittmann/tint"
	_ "github.com/prometheus/client_golang/prometheus/promhttp"
	_ "github.com/prometheus/client_golang/prometheus/testutil"
	_ "github.com/rogpeppe/go-internal/testscript"
	_ "go.uber.org/goleak"
	_ "golang.org/x/sync/errgroup"
	_ "golang.org/x/sync/singleflight"
	_ "golang.org/x/time/rate"
	_ "pgregory.net/rapid"
)
