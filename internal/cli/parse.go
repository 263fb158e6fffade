package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/acequia-tv/acequia/internal/config"
)

// grammar is the command line, a field per command.
type grammar struct {
	Serve       serveCommand       `cmd:"" help:"Play content to players, from a pool of engines."`
	Proxy       proxyCommand       `cmd:"" help:"Play content to players, on engines of another Acequia."`
	Engine      engineCommand      `cmd:"" help:"Run one engine: a native one, or an official one that is watched."`
	Demo        demoCommand        `cmd:"" help:"Show it all on this machine: seed a clip, serve it, print the URL."`
	Engines     enginesCommand     `cmd:"" help:"See the engines of a running server, and act on them."`
	Streams     streamsCommand     `cmd:"" help:"See the streams and viewers of a running server, and act on them."`
	Pool        poolCommand        `cmd:"" help:"See and steer the pool of a running server."`
	Events      eventsCommand      `cmd:"" help:"Tell what happened on a running server."`
	Auth        authCommand        `cmd:"" help:"Passwords and keys."`
	Config      configCommand      `cmd:"" help:"Show, check and explain the settings."`
	Healthcheck healthcheckCommand `cmd:"" help:"Ask a running server whether it is ready; for container health checks."`
	Version     versionCommand     `cmd:"" help:"Show which build this is."`
}

// Help is shown below the usage of the program as a whole.
func (grammar) Help() string {
	return `
A URL that plays:

    http://HOST:6878/ace/getstream?id=CONTENT_ID
    http://HOST:6878/ace/getstream?infohash=INFOHASH

Start here:

    acequia demo                 see it play, with nothing else installed
    acequia serve                serve, with engines of its own
    acequia serve --static.engines http://tv-box:6878
                                 serve, with engines that run elsewhere
    acequia config print         every setting, its value and its origin

Exit status: 0 done, 1 failed, 2 wrong usage or settings.
`
}

// call is what a command gets from its command line.
type call struct {
	process  *Process
	settings []config.Setting // flags that are settings
	aliases  []config.Alias   // variables with names of other programs, where those are expected
}

// exit is thrown by the parser's hook for ending the process, after which the
// parser goes on where the hook returns, and caught by parse.
type exit int

// parse returns the command to run. It is nil where everything was done, as
// for help.
func parse(p *Process) (command func(context.Context) error, err error) {
	var afterHelp error
	defer func() {
		if thrown := recover(); thrown != nil {
			if _, ok := thrown.(exit); !ok {
				panic(thrown)
			}
			command, err = nil, afterHelp
		}
	}()
	var root grammar
	slots := &settingSlots{}
	parser, err := kong.New(&root,
		kong.Name("acequia"),
		kong.Description("A home for AceStream: one URL for every channel, shared by all its viewers."),
		kong.Writers(p.Stdout, p.Stderr),
		kong.Exit(func(status int) { panic(exit(status)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true, WrapUpperBound: 100}),
		kong.PostBuild(slots.addTo),
	)
	if err != nil {
		return nil, fmt.Errorf("build the command line: %w", err)
	}
	args := rewrite(p.Args)
	if len(args) == 0 {
		args = []string{"--help"}
		parser.Stdout = p.Stderr
		afterHelp = usageError{errors.New("no command: name one of those above")}
	}
	parsed, err := parser.Parse(args) // throws exit after help
	if err != nil {
		return nil, usageError{explain(err)}
	}
	return func(ctx context.Context) error {
		parsed.BindTo(ctx, (*context.Context)(nil))
		return parsed.Run(&call{process: p, settings: slots.given()})
	}, nil
}

// rewrite gives the habits of other programs their meaning here.
func rewrite(args []string) []string {
	if len(args) == 0 {
		return args
	}
	switch args[0] {
	case "help":
		return append(slices.Clone(args[1:]), "--help")
	case "--version", "-V":
		return append([]string{"version"}, args[1:]...)
	}
	return args
}

// explain adds to the parser's words what it cannot know.
func explain(err error) error {
	message := err.Error()
	if flag, ok := strings.CutPrefix(message, "unknown flag --"); ok && !strings.Contains(message, "did you mean") {
		if near := config.Nearest(flag); near != "" {
			return fmt.Errorf("%w, did you mean \"--%s\"?", err, near)
		}
		return fmt.Errorf(`%w; "acequia config reference" lists the settings, and --help the other flags`, err)
	}
	return err
}
