package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// fileName is the settings file looked for in the data directory.
const fileName = "acequia.yaml"

// dataKey is a key whose default depends on the machine.
const dataKey = "data"

// fileVariable names the settings file from the environment. It is not a key:
// no file can name itself.
const fileVariable = envPrefix + "CONFIG"

// clientVariables are for the commands that talk to a server. They are no keys
// either, and a server beside them does not mind.
var clientVariables = []string{envPrefix + "URL", envPrefix + "KEY", envPrefix + "KEY_FILE"}

// maxSecret bounds the file of one secret.
const maxSecret = 64 << 10

// Setting is a key and its text, as a flag gives them.
type Setting struct {
	Name string
	Text string
}

// Sources are the places that settings come from. Everything around the process
// is passed in, so that loading is a function of its input.
type Sources struct {
	// File is the settings file of --config. Empty looks at ACEQUIA_CONFIG, and
	// then for acequia.yaml in the data directory, where it may be missing.
	File string
	// Environ holds NAME=value pairs. A variable that is set to nothing is not
	// set, because that is what compose files make of an optional value.
	Environ []string
	// Aliases are variables of Environ with names of other programs.
	Aliases []Alias
	// Flags are in the order given; the last one wins, and lists add up.
	Flags []Setting
	// ReadFile reads a whole file, as [os.ReadFile] does.
	ReadFile func(name string) ([]byte, error)
	// Writable tells whether a directory exists and can be written.
	Writable func(dir string) bool
	// Memory is how many bytes of memory the process may have, 0 where that is
	// unknown.
	Memory int64
}

// Settings is a loaded, valid Config and where each of its values came from.
// It does not change and is safe for concurrent use.
type Settings struct {
	Config Config
	File   string // the settings file read, or empty

	origins map[string]Origin
	base    layers
	src     Sources
}

// layers are what the sources say, before it is put together.
type layers struct{ file, aliases, environment, flags []assignment }

// Origin says where the value of a key came from.
func (s *Settings) Origin(key string) Origin { return s.origins[key] }

// Load reads all sources and checks the outcome. The error is [*InvalidError].
func Load(src Sources) (*Settings, error) {
	settings := &Settings{}
	l := &loader{tree: configTree, src: src, root: reflect.ValueOf(&settings.Config).Elem()}
	file, err := l.load()
	if err != nil {
		return nil, err
	}
	if err := validate(&settings.Config, l.origins); err != nil {
		return nil, err
	}
	settings.File, settings.origins, settings.base, settings.src = file, l.origins, l.base, src
	return settings, nil
}

// With returns the settings with those that were changed while the server ran,
// texts by key, in place of whatever changes were in s. They override the file,
// and the environment and flags override them. The error is [*InvalidError].
func (s *Settings) With(stored map[string]string) (*Settings, error) {
	changed := &Settings{File: s.File, base: s.base, src: s.src}
	l := &loader{tree: configTree, src: s.src, root: reflect.ValueOf(&changed.Config).Elem(), base: s.base}
	var values []assignment
	for _, key := range slices.Sorted(maps.Keys(stored)) {
		a := assignment{name: key, text: stored[key], origin: Origin{Layer: Stored}}
		k, ok := l.tree.find(key)
		if !ok {
			k, ok = l.tree.findSecretFile(key)
		}
		switch {
		case ok && k.Secret:
			l.problems.add(key, a.origin, "", errors.New("a secret is set by file, environment or flag only"))
			continue
		case BeforeStore(key):
			l.problems.add(key, a.origin, "", errors.New("it says where changes are kept: set it by environment or flag"))
			continue
		}
		values = append(values, a)
	}
	l.stack(values)
	if err := l.problems.err(); err != nil {
		return nil, err
	}
	if err := validate(&changed.Config, l.origins); err != nil {
		return nil, err
	}
	changed.origins = l.origins
	return changed, nil
}

// BeforeStore tells whether a setting is needed to find the place where changes
// are kept, so that it cannot be changed there.
func BeforeStore(key string) bool { return key == dataKey }

// IsSet tells whether the value of a key is not empty, also of a secret.
func (s *Settings) IsSet(key string) bool {
	k, ok := configTree.find(key)
	return ok && k.text(k.get(reflect.ValueOf(s.Config))) != ""
}

// Text is the value of a key as a person writes it, empty for a secret.
func (s *Settings) Text(key string) string {
	k, ok := configTree.find(key)
	if !ok || k.Secret {
		return ""
	}
	return k.text(k.get(reflect.ValueOf(s.Config)))
}

// assignment is one value that one source gives to one name.
type assignment struct {
	name   string   // dotted, whatever the source
	text   string   // unless items is set
	items  []string // not nil for a list written as a list
	origin Origin
	source string // line of the file
}

// loader fills one struct from the sources. It is used once.
type loader struct {
	tree     *tree
	src      Sources
	root     reflect.Value
	base     layers
	origins  map[string]Origin
	problems problems
}

// load applies the layers from the weakest to the strongest and returns the
// name of the file read. A value that cannot be read is a problem even where a
// stronger layer overrides it.
func (l *loader) load() (string, error) {
	l.base.aliases, l.base.environment, l.base.flags = l.aliases(), l.environment(), l.flags()
	name, data := l.file(l.dataBeforeFile(l.base.environment, l.base.flags))
	if name != "" {
		assignments, found := readYAML(l.tree, name, data)
		l.problems = append(l.problems, found...)
		l.base.file = assignments
	}
	l.stack(nil)
	return name, l.problems.err()
}

// stack puts the layers on each other.
func (l *loader) stack(stored []assignment) {
	l.origins = make(map[string]Origin)
	l.defaults()
	l.apply(l.base.file)
	l.apply(stored)
	l.apply(l.base.aliases)
	l.apply(l.base.environment)
	l.apply(l.base.flags)
}

// dataBeforeFile is the data directory as far as the file has no say in it,
// since that directory is where the file is looked for.
func (l *loader) dataBeforeFile(layers ...[]assignment) string {
	dir := dataDir(l.getenv, l.src.Writable)
	for _, layer := range layers {
		for _, a := range layer {
			if a.name == dataKey {
				dir = a.text
			}
		}
	}
	return dir
}

func (l *loader) defaults() {
	for _, key := range l.tree.keys {
		text := key.Default
		switch key.Name {
		case dataKey:
			text = dataDir(l.getenv, l.src.Writable)
		case memoryKey:
			text = memoryBudget(l.src.Memory).String()
		}
		value, err := key.parse(text)
		if err != nil {
			panic(err) // newTree has parsed it
		}
		key.set(l.root, value)
	}
}

// getenv returns a variable that stands outside the tree.
func (l *loader) getenv(name string) string {
	for _, pair := range slices.Backward(l.src.Environ) {
		if got, value, ok := strings.Cut(pair, "="); ok && got == name {
			return value
		}
	}
	return ""
}

// orchestrated matches what Kubernetes puts into every container about a
// service that happens to be called acequia or acequia-something.
var orchestrated = regexp.MustCompile(`^ACEQUIA_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// isOrchestrated tells such a variable from a mistyped one of ours, such as
// ACEQUIA_ENGINE_HTP_PORT=80: the one of Kubernetes that ends so holds a URL.
func isOrchestrated(variable, text string) bool {
	return orchestrated.MatchString(variable) ||
		strings.HasSuffix(variable, "_PORT") && strings.Contains(text, "://")
}

// environment reads the variables with our prefix.
func (l *loader) environment() []assignment {
	byVariable := make(map[string]string)
	for _, name := range l.tree.names() {
		byVariable[Key{Name: name}.Env()] = name
	}
	var found []assignment
	for _, pair := range l.src.Environ {
		variable, text, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(variable, envPrefix) || variable == fileVariable || text == "" || slices.Contains(clientVariables, variable) {
			continue
		}
		origin := Origin{Layer: Environment, Name: variable}
		name, ok := byVariable[variable]
		switch {
		case ok:
			found = append(found, assignment{name: name, text: text, origin: origin})
		case isOrchestrated(variable, text):
		default:
			l.unknown(variable, Origin{Layer: Environment, Name: "variable"}, "", append(variables(byVariable), fileVariable))
		}
	}
	return found
}

func variables(byVariable map[string]string) []string {
	names := make([]string, 0, len(byVariable))
	for name := range byVariable {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// flags reads the command line, joining the items of lists.
func (l *loader) flags() []assignment {
	var found []assignment
	lists := make(map[string]int) // name -> index in found
	for _, flag := range l.src.Flags {
		a := assignment{name: flag.Name, text: flag.Text, origin: Origin{Layer: Flags, Name: "--" + flag.Name}}
		if key, ok := l.tree.find(flag.Name); ok && key.Kind == List {
			a.items = parseList(flag.Text)
			if at, ok := lists[flag.Name]; ok {
				found[at].items = append(found[at].items, a.items...)
				continue
			}
			lists[flag.Name] = len(found)
		}
		found = append(found, a)
	}
	return found
}

// file finds and reads the settings file.
func (l *loader) file(dataDir string) (name string, data []byte) {
	name, origin := l.src.File, Origin{Layer: Flags, Name: "--config"}
	if name == "" {
		name, origin = l.getenv(fileVariable), Origin{Layer: Environment, Name: fileVariable}
	}
	optional := name == ""
	if optional {
		if dataDir == "" {
			return "", nil
		}
		name = filepath.Join(dataDir, fileName)
		origin = Origin{Layer: File, Name: name}
	}
	data, err := l.src.ReadFile(name)
	if optional && errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		l.problems.add("", origin, "", fmt.Errorf("read the settings file: %w", err))
		return "", nil
	}
	return name, data
}

// apply sets the values of one layer.
func (l *loader) apply(assignments []assignment) {
	seen := make(map[string]Origin)
	for _, a := range assignments {
		key, ok := l.tree.find(a.name)
		secretFile := false
		if !ok {
			key, secretFile = l.tree.findSecretFile(a.name)
		}
		if !ok && !secretFile {
			l.unknown(a.name, a.origin, a.source, l.candidates())
			continue
		}
		if before, twice := seen[key.Name]; twice && (a.origin.Layer == File || before.Name != a.origin.Name) {
			l.problems.add(key.Name, a.origin, a.source, fmt.Errorf("given twice: also at %s", before))
			continue
		}
		seen[key.Name] = a.origin
		if err := l.set(key, a, secretFile); err != nil {
			l.problems.add(key.Name, a.origin, a.source, err)
		}
	}
}

func (l *loader) set(key Key, a assignment, secretFile bool) error {
	if a.items != nil {
		if key.Kind != List {
			return errors.New("takes one value, not a list")
		}
		key.set(l.root, a.items)
		l.origins[key.Name] = a.origin
		return nil
	}
	text := a.text
	if secretFile {
		data, err := l.src.ReadFile(text)
		if err != nil {
			return fmt.Errorf("read the secret: %w", err)
		}
		if len(data) > maxSecret {
			return fmt.Errorf("read the secret: %s is larger than %s", text, Size(maxSecret))
		}
		text = strings.TrimRight(string(data), "\r\n")
	}
	if key.Secret && text == mask {
		return errors.New("this is the mask that config print shows in place of a secret")
	}
	value, err := key.parse(text)
	if err != nil {
		if key.Secret {
			return errors.New("not a value of this key (it is secret and not shown)")
		}
		return err
	}
	key.set(l.root, value)
	l.origins[key.Name] = a.origin
	return nil
}

// unknown notes a name that stands for nothing.
func (l *loader) unknown(name string, origin Origin, source string, candidates []string) {
	message := "unknown key"
	if near := nearest(name, candidates); near != "" {
		message += "; did you mean " + near + "?"
		if key, ok := l.tree.find(near); ok && key.Secret {
			source = ""
		}
	} else {
		message += "; acequia config reference lists them all"
	}
	l.problems.add(name, origin, source, errors.New(message))
}

// candidates are the names that a file or a flag may have meant.
func (l *loader) candidates() []string {
	names := l.tree.names()
	for _, s := range l.tree.sections {
		if s.name != "" {
			names = append(names, s.name)
		}
	}
	return names
}

// known tells whether a name is a key or the file of a secret.
func (t *tree) known(name string) bool {
	_, ok := t.find(name)
	if !ok {
		_, ok = t.findSecretFile(name)
	}
	return ok
}
