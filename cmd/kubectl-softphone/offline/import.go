package offline

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/softphone-operator/softphone-operator/account"
	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/render"
)

type importing struct {
	namespace, fleet, dir string
	profiles, set         []string
	fetched, force        bool
}

func importCommand() *cobra.Command {
	var i importing
	cmd := &cobra.Command{
		Use:   "import FILE.xml... | FILE.csv...",
		Short: "Make SoftphoneAccounts and Secrets of account XML or of a list of extensions",
		Long: `Make a SoftphoneAccount and a Secret of each account in the files, as YAML on standard output or as files with a
kustomization in --output-dir. Nothing of an account XML is lost: what spec.account has no field for is kept in
spec.extra, priorities and sources in spec.merge. An account is called like its file; several in one file are called
FILE-ID, by their id attribute or their place.

A CSV file has one account a row: extension, password and name, or the columns that its first row names, any nodes of
the account XML. What all rows share, the host at least, comes from --set or from a profile.

The Secrets hold passwords as they are: keep them out of repositories, or encrypt them.
Exit status: 0, or 1 when a file cannot be taken over; nothing is written then.`,
		Example: `  kubectl softphone import alice.xml | kubectl apply -f -
  kubectl softphone import --output-dir lines/ --profile carrier provisioning/*.xml
  kubectl softphone import extensions.csv --set host=pbx.example.org --set transport=tls`,
		Args: cobra.MinimumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"xml", "csv"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(cmd *cobra.Command, files []string) error { return i.run(cmd, files) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&i.namespace, "namespace", "n", "", "namespace of the objects")
	flags.StringVar(&i.fleet, "fleet", "", "fleet of the accounts")
	flags.StringArrayVar(&i.profiles, "profile", nil, "profile under the accounts; may be repeated")
	flags.StringArrayVar(&i.set, "set", nil, "NODE=VALUE for every account that does not say otherwise; may be repeated")
	flags.BoolVar(&i.fetched, "fetched", false, "judge XML with the tolerance for provisioning services")
	flags.StringVar(&i.dir, "output-dir", "", "write files there: NAME.yaml, NAME-secret.yaml and kustomization.yaml")
	flags.BoolVar(&i.force, "force", false, "overwrite files in --output-dir")
	return cmd
}

// imported is one account on its way from a file to objects.
type imported struct {
	name string
	// from is the place in a file, for messages.
	from string
	doc  *account.Document
}

// manifest is an object as it is written: without status, without null.
type manifest struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   manifestMetadata  `json:"metadata"`
	Spec       any               `json:"spec,omitempty"`
	StringData map[string]string `json:"stringData,omitempty"`
}

type manifestMetadata struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
}

// file is one file of --output-dir.
type file struct {
	name    string
	content []byte
	secret  bool
}

func (i importing) run(cmd *cobra.Command, names []string) error {
	shared, err := i.shared()
	if err != nil {
		return err
	}
	var all []imported
	for _, name := range names {
		found, err := i.read(cmd, name)
		if err != nil {
			return err
		}
		all = append(all, found...)
	}
	if err := unique(all); err != nil {
		return err
	}
	var files []file
	for _, a := range all {
		a.take(shared)
		made, err := i.objects(a)
		if err != nil {
			return err
		}
		files = append(files, made...)
	}
	if i.dir == "" {
		return printFiles(cmd.OutOrStdout(), files)
	}
	return i.write(files)
}

// shared are the nodes of --set.
func (i importing) shared() (*account.Document, error) {
	doc := &account.Document{}
	for _, s := range i.set {
		node, value, ok := strings.Cut(s, "=")
		if !ok || node == "" {
			return nil, fmt.Errorf("--set %s: is not NODE=VALUE", hideValue(s))
		}
		row, known := account.Lookup(node)
		if !known {
			return nil, fmt.Errorf("--set %s: there is no such node", node)
		}
		doc.Set(row.Name, value, 0, "")
		last := &doc.Nodes[len(doc.Nodes)-1]
		last.HasPriority = false
	}
	if errs := account.Errors(doc.ValidateLayer(account.Authored)); len(errs) > 0 {
		return nil, fmt.Errorf("--set %s: %s", errs[0].Node, errs[0].Message)
	}
	return doc, nil
}

// hideValue keeps what may be a secret out of a message.
func hideValue(s string) string {
	node, _, _ := strings.Cut(s, "=")
	return node + "..."
}

// take adds the shared nodes that the account does not have.
func (a *imported) take(shared *account.Document) {
	for _, n := range shared.Nodes {
		if _, has := a.doc.Get(n.Name); !has {
			a.doc.Nodes = append(a.doc.Nodes, n)
		}
	}
}

func (i importing) read(cmd *cobra.Command, name string) ([]imported, error) {
	if strings.EqualFold(filepath.Ext(name), ".csv") {
		return readCSV(cmd, name)
	}
	mode := account.Authored
	if i.fetched {
		mode = account.Fetched
	}
	docs, problems, err := read(cmd, name, mode)
	if err != nil {
		return nil, err
	}
	for _, d := range docs {
		problems = append(problems, d.ValidateLayer(mode)...)
	}
	if err := printProblems(cmd.ErrOrStderr(), problems); err != nil {
		return nil, err
	}
	if len(account.Errors(problems)) > 0 {
		return nil, fmt.Errorf("%s is not a valid account document", name)
	}
	return named(cmd, name, docs)
}

// named gives the accounts of a file their objects' names.
func named(cmd *cobra.Command, file string, docs []*account.Document) ([]imported, error) {
	base := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	if file == stdin {
		base = "account"
	}
	var all []imported
	for i, d := range docs {
		place := fmt.Sprintf("%s:%d:%d", file, d.Line, d.Col)
		name := base
		if len(docs) > 1 {
			id := d.ID()
			if id == "" {
				id = strconv.Itoa(i + 1)
			}
			name += "-" + id
		}
		object, err := objectName(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", place, err)
		}
		all = append(all, imported{name: object, from: place, doc: d})
	}
	if len(docs) > 0 && docs[0].Root != nil && len(docs[0].Root.Others) > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: warning: <%s> beside the accounts belongs to none of them and is left out\n", file, docs[0].Root.Others[0].Name)
	}
	return all, nil
}

// longestName leaves room for the suffix of a Secret's file; objects may have 63.
const longestName = 63

// objectName makes a Kubernetes name of what people call a line.
func objectName(name string) (string, error) {
	var b strings.Builder
	for _, c := range strings.ToLower(name) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' {
			b.WriteRune(c)
		} else if b.Len() > 0 && !strings.HasSuffix(b.String(), "-") {
			b.WriteByte('-')
		}
	}
	out := strings.Trim(b.String(), "-.")
	for before := ""; out != before; {
		before, out = out, strings.NewReplacer("..", ".", ".-", "-", "-.", "-", "--", "-").Replace(out)
	}
	if len(out) > longestName {
		out = strings.Trim(out[:longestName], "-.")
	}
	if out == "" {
		return "", fmt.Errorf("no name for an object can be made of %q", name)
	}
	return out, nil
}

// unique tells two accounts that would become one object.
func unique(all []imported) error {
	seen := map[string]string{}
	for _, a := range all {
		if other, taken := seen[a.name]; taken {
			return fmt.Errorf("%s and %s would both be called %s: rename one", other, a.from, a.name)
		}
		seen[a.name] = a.from
	}
	if len(all) == 0 {
		return errors.New("the files hold no account")
	}
	return nil
}

// objects makes the manifests of one account.
func (i importing) objects(a imported) ([]file, error) {
	layer, secrets, err := render.Layer(a.doc, render.LayerOptions{Secret: a.name, Priority: account.PriorityGUI, Source: account.SourceGUI})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.from, err)
	}
	spec := v1.SoftphoneAccountSpec{AccountLayer: layer}
	if i.fleet != "" {
		spec.Fleet = &i.fleet
	}
	for _, p := range i.profiles {
		spec.Profiles = append(spec.Profiles, v1.ProfileName(p))
	}
	metadata := manifestMetadata{Name: a.name, Namespace: i.namespace}
	var files []file
	if len(secrets) > 0 {
		data := map[string]string{}
		for _, s := range secrets {
			data[s.Key] = s.Value
		}
		files = append(files, file{name: a.name + "-secret.yaml", secret: true})
		if files[0].content, err = yaml.Marshal(manifest{APIVersion: "v1", Kind: "Secret", Metadata: metadata, StringData: data}); err != nil {
			return nil, err
		}
	}
	own := manifest{APIVersion: v1.GroupVersion.String(), Kind: "SoftphoneAccount", Metadata: metadata, Spec: spec}
	content, err := yaml.Marshal(own)
	return append(files, file{name: a.name + ".yaml", content: content}), err
}

func printFiles(w io.Writer, files []file) error {
	var out bytes.Buffer
	for n, f := range files {
		if n > 0 {
			out.WriteString("---\n")
		}
		out.Write(f.content)
	}
	_, err := out.WriteTo(w)
	return err
}

// write puts the files and their kustomization into the directory; none when one
// would be overwritten.
func (i importing) write(files []file) error {
	var names []string
	for _, f := range files {
		names = append(names, f.name)
	}
	slices.Sort(names)
	kustomization, err := yaml.Marshal(map[string]any{
		"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": names,
	})
	if err != nil {
		return err
	}
	files = append(files, file{name: "kustomization.yaml", content: kustomization})
	if err := os.MkdirAll(i.dir, 0o755); err != nil {
		return err
	}
	for _, f := range files {
		if _, err := os.Lstat(filepath.Join(i.dir, f.name)); err == nil && !i.force {
			return fmt.Errorf("%s is there already: --force overwrites it", filepath.Join(i.dir, f.name))
		}
	}
	for _, f := range files {
		mode := os.FileMode(0o644)
		if f.secret {
			mode = 0o600
		}
		if err := os.WriteFile(filepath.Join(i.dir, f.name), f.content, mode); err != nil {
			return err
		}
	}
	return nil
}
