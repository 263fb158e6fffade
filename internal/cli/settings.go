package cli

import (
	"fmt"
	"log/slog"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/acequia-tv/acequia/internal/config"
	"github.com/acequia-tv/acequia/internal/telemetry"
)

// settingFlags is embedded in every command that loads the settings. The
// presence of its flag makes every setting a flag of that command too.
type settingFlags struct {
	Config string `name:"config" placeholder:"FILE" help:"Settings file. Default: $$ACEQUIA_CONFIG, else acequia.yaml in the data directory if there is one."`
}

// load loads the settings from all sources.
func (f *settingFlags) load(c *call) (*config.Settings, error) {
	settings, err := config.Load(config.Sources{
		File:     f.Config,
		Environ:  c.process.Environ,
		Aliases:  c.aliases,
		Flags:    c.settings,
		ReadFile: c.process.ReadFile,
		Writable: c.process.Writable,
		Memory:   machineMemory(c.process.ReadFile),
	})
	if err != nil {
		return nil, usageError{err}
	}
	return settings, nil
}

// invocation loads the settings and what follows from them. From here on the
// program runs as the user whom it was told to be.
func (f *settingFlags) invocation(c *call) (Invocation, error) {
	settings, err := f.load(c)
	if err != nil {
		return Invocation{}, err
	}
	log, level, err := c.process.logger(settings.Config.Log)
	if err != nil {
		return Invocation{}, err
	}
	if become := c.process.Become; become != nil {
		if err := become(c.process.getenv, log, directories(settings.Config), sockets(settings.Config)); err != nil {
			return Invocation{}, err
		}
	}
	return Invocation{
		Config:   settings.Config,
		Settings: settings,
		Log:      log,
		Level:    level,
		Build:    c.process.Build,
		Stdin:    c.process.Stdin,
		Stdout:   c.process.Stdout,
	}, nil
}

// directories are those that the program writes to.
func directories(c config.Config) []string {
	var dirs []string
	for _, dir := range []string{c.Data, c.Official.StateDir, c.Official.CacheDir} {
		if dir != "" {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// sockets are those of Docker on this machine.
func sockets(c config.Config) []string {
	var all []string
	for _, host := range c.Docker.Hosts {
		if _, path, ok := strings.Cut(host, "unix://"); ok {
			all = append(all, path)
		}
	}
	return all
}

func (p *Process) logger(settings config.Log) (*slog.Logger, *slog.LevelVar, error) {
	level := &slog.LevelVar{}
	parsed, err := telemetry.ParseLevel(settings.Level)
	if err != nil {
		return nil, nil, fmt.Errorf("log.level: %w", err)
	}
	level.Set(parsed)
	form := telemetry.ChooseForm(settings.Format, p.Terminal, p.getenv)
	return telemetry.NewLogger(p.Stderr, form, level), level, nil
}

// shower is a command that shows some settings among its flags. It takes the
// others as well, since one file and one environment serve all commands.
type shower interface{ shows(key string) bool }

// settingSlots holds the texts given for each setting on the command line.
type settingSlots struct {
	keys  []config.Key
	texts []settingTexts // by index of keys
}

// settingTexts is what was given for one setting. It is no plain slice, which
// the parser's help would mark as a list.
type settingTexts struct{ all []string }

// addTo makes every setting a flag of the commands that have the flag --config.
func (s *settingSlots) addTo(parser *kong.Kong) error {
	s.keys = config.Keys()
	s.texts = make([]settingTexts, len(s.keys))
	return kong.Visit(parser.Model, func(node kong.Visitable, next kong.Next) error {
		if command, ok := node.(*kong.Command); ok && hasFlag(command, "config") {
			show, _ := command.Target.Addr().Interface().(shower)
			for i, key := range s.keys {
				command.Flags = append(command.Flags, s.flag(i, key, show == nil || !show.shows(key.Name)))
			}
		}
		return next(nil)
	})
}

func hasFlag(command *kong.Command, name string) bool {
	for _, flag := range command.Flags {
		if flag.Name == name {
			return true
		}
	}
	return false
}

// flag is one setting as the parser sees it.
func (s *settingSlots) flag(i int, key config.Key, hidden bool) *kong.Flag {
	section, _, ok := strings.Cut(key.Name, ".")
	if !ok {
		section = "general"
	}
	flag := &kong.Flag{
		Value: &kong.Value{
			Name:   key.Name,
			Help:   escape(summary(key)),
			Mapper: settingMapper{key},
			Tag:    &kong.Tag{Hidden: hidden},
			Target: reflect.ValueOf(&s.texts[i]).Elem(),
		},
		Group:       &kong.Group{Key: section, Title: "Settings, " + section + ":"},
		PlaceHolder: key.Example(),
		Hidden:      hidden,
	}
	flag.Flag = flag
	return flag
}

// summary is the first sentence about a key.
func summary(key config.Key) string {
	first, _, more := strings.Cut(key.Doc, ". ")
	if more {
		first += "."
	}
	if key.Enum != nil {
		first += " One of " + strings.Join(key.Enum, ", ") + "."
	}
	if key.Kind == config.Bool && key.Default == "true" {
		first += " On unless " + key.Flag() + "=false."
	}
	return first
}

// escape keeps the parser from taking a dollar for a variable of its own.
func escape(text string) string { return strings.ReplaceAll(text, "$", "$$") }

// given lists what was on the command line.
func (s *settingSlots) given() []config.Setting {
	var settings []config.Setting
	for i, key := range s.keys {
		for _, text := range s.texts[i].all {
			settings = append(settings, config.Setting{Name: key.Name, Text: text})
		}
	}
	return settings
}

// settingMapper collects the texts of a flag as they are: what they mean is for
// the settings to say, in the same words for every source.
type settingMapper struct{ key config.Key }

// IsBool tells the parser that the flag may stand alone.
func (m settingMapper) IsBool() bool { return m.key.Kind == config.Bool }

// Decode appends one text to target, a settingTexts.
func (m settingMapper) Decode(ctx *kong.DecodeContext, target reflect.Value) error {
	text := "true"
	token := ctx.Scan.Peek()
	switch {
	case m.IsBool() && token.Type != kong.FlagValueToken:
		// A boolean takes a value only after an equals sign: what follows it
		// otherwise is the next argument.
	case token.IsValue():
		text = ctx.Scan.Pop().String()
	default:
		return fmt.Errorf("needs a value, as in %s=%s", m.key.Flag(), m.key.Example())
	}
	texts, ok := target.Addr().Interface().(*settingTexts)
	if !ok {
		return fmt.Errorf("flag %s has a target of type %s", m.key.Flag(), target.Type())
	}
	texts.all = append(texts.all, text)
	return nil
}
