package offline

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/render"
)

// objects are what the files of -f hold of our concern; other kinds are passed over,
// so that a whole directory of manifests can be given.
type objects struct {
	accounts []*v1.SoftphoneAccount
	fleets   map[key]*v1.SoftphoneFleet
	profiles map[key]*v1.SoftphoneProfile
	values   map[string]render.Values // by namespace
}

// key names an object.
type key struct{ namespace, name string }

// objectFlags are the flags of commands that work on manifests.
type objectFlags struct {
	files   []string
	account string
}

func (f *objectFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVarP(&f.files, "filename", "f", nil, "file or directory of manifests, - for standard input; may be repeated")
	cmd.Flags().StringVar(&f.account, "account", "", "the SoftphoneAccount meant, NAME or NAMESPACE/NAME")
	_ = cmd.MarkFlagRequired("filename")
	_ = cmd.MarkFlagFilename("filename", manifestSuffixes...)
}

// manifestSuffixes are the files of a directory that are read, as kubectl does.
var manifestSuffixes = []string{"yaml", "yml", "json"}

// read reads all manifests.
func (f *objectFlags) read(cmd *cobra.Command) (*objects, error) {
	all := &objects{fleets: map[key]*v1.SoftphoneFleet{}, profiles: map[key]*v1.SoftphoneProfile{}, values: map[string]render.Values{}}
	for _, name := range f.files {
		files, err := manifestFiles(name)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			if err := all.readFile(cmd, file); err != nil {
				return nil, err
			}
		}
	}
	slices.SortStableFunc(all.accounts, func(a, b *v1.SoftphoneAccount) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return all, nil
}

// manifestFiles are the files a name stands for: itself, or those of a directory.
func manifestFiles(name string) ([]string, error) {
	if name == stdin {
		return []string{name}, nil
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{name}, nil
	}
	entries, err := os.ReadDir(name)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		suffix := strings.TrimPrefix(filepath.Ext(e.Name()), ".")
		if e.Type().IsRegular() && slices.Contains(manifestSuffixes, suffix) {
			files = append(files, filepath.Join(name, e.Name()))
		}
	}
	return files, nil
}

func (o *objects) readFile(cmd *cobra.Command, file string) error {
	in := cmd.InOrStdin()
	if file != stdin {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	documents := utilyaml.NewYAMLReader(bufio.NewReader(in))
	for i := 1; ; i++ {
		text, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = o.add(text)
		}
		if err != nil {
			return fmt.Errorf("%s: document %d: %w", file, i, err)
		}
	}
}

// add takes one YAML document over. Fields that do not exist are errors: the API
// server would drop or refuse them.
func (o *objects) add(text []byte) error {
	var head struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        struct{ Name string } `json:"metadata"`
		Items           []any                 `json:"items"`
	}
	if err := yaml.Unmarshal(text, &head); err != nil {
		return err
	}
	decode := func(into any) error {
		if err := yaml.UnmarshalStrict(text, into); err != nil {
			return fmt.Errorf("%s %s: %w", head.Kind, head.Metadata.Name, withoutValues(err))
		}
		return nil
	}
	switch head.APIVersion + "/" + head.Kind {
	case "v1/List":
		return o.addItems(head.Items)
	case v1.GroupVersion.String() + "/SoftphoneAccount":
		a := &v1.SoftphoneAccount{}
		o.accounts = append(o.accounts, a)
		return decode(a)
	case v1.GroupVersion.String() + "/SoftphoneFleet":
		f := &v1.SoftphoneFleet{}
		if err := decode(f); err != nil {
			return err
		}
		o.fleets[key{f.Namespace, f.Name}] = f
	case v1.GroupVersion.String() + "/SoftphoneProfile":
		p := &v1.SoftphoneProfile{}
		if err := decode(p); err != nil {
			return err
		}
		o.profiles[key{p.Namespace, p.Name}] = p
	case "v1/Secret":
		s := corev1.Secret{}
		if err := decode(&s); err != nil {
			return err
		}
		o.put(s.Namespace, render.Object{Kind: render.Secret, Name: s.Name}, s.Data, s.StringData)
	case "v1/ConfigMap":
		c := corev1.ConfigMap{}
		if err := decode(&c); err != nil {
			return err
		}
		o.put(c.Namespace, render.Object{Kind: render.ConfigMap, Name: c.Name}, c.BinaryData, c.Data)
	}
	return nil
}

// addItems takes a List's items over.
func (o *objects) addItems(items []any) error {
	for i, item := range items {
		text, err := yaml.Marshal(item)
		if err == nil {
			err = o.add(text)
		}
		if err != nil {
			return fmt.Errorf("item %d: %w", i+1, err)
		}
	}
	return nil
}

// withoutValues keeps a decoder from quoting what may be a secret: only the part
// that names the field is told.
func withoutValues(err error) error {
	text, _, _ := bytes.Cut([]byte(err.Error()), []byte("\n"))
	return errors.New(strings.TrimPrefix(strings.TrimPrefix(string(text), "error unmarshaling JSON: while decoding JSON: "), "json: "))
}

func (o *objects) put(namespace string, object render.Object, data map[string][]byte, text map[string]string) {
	values := map[string][]byte{}
	for k, v := range data {
		values[k] = v
	}
	for k, v := range text {
		values[k] = []byte(v) // stringData goes before data, as at the API server
	}
	if o.values[namespace] == nil {
		o.values[namespace] = render.Values{}
	}
	o.values[namespace][object] = values
}

// chosen are the accounts meant: the one named, or all.
func (o *objects) chosen(name string) ([]*v1.SoftphoneAccount, error) {
	if name == "" {
		if len(o.accounts) == 0 {
			return nil, errors.New("the files hold no SoftphoneAccount")
		}
		return o.accounts, nil
	}
	var found []*v1.SoftphoneAccount
	for _, a := range o.accounts {
		if name == a.Name || name == a.Namespace+"/"+a.Name {
			found = append(found, a)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("the files hold no SoftphoneAccount %s%s", name, o.others())
	case 1:
		return found, nil
	}
	return nil, fmt.Errorf("the files hold %d SoftphoneAccounts %s: say NAMESPACE/NAME", len(found), name)
}

// others names the accounts there are, for somebody who mistyped one.
func (o *objects) others() string {
	const shown = 10
	var names []string
	for _, a := range o.accounts {
		names = append(names, a.Name)
	}
	switch {
	case len(names) == 0:
		return ""
	case len(names) > shown:
		return fmt.Sprintf("; there are %s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
	}
	return "; there are " + strings.Join(names, ", ")
}

// fleet gives what the account's fleet says; one that is not among the files says nothing.
func (o *objects) fleet(a *v1.SoftphoneAccount) v1.SoftphoneFleetSpec {
	f := o.fleets[key{a.Namespace, a.FleetName()}]
	if f == nil {
		return v1.SoftphoneFleetSpec{}
	}
	return f.Spec
}

// under are the profiles under an account, its fleet's first.
func (o *objects) under(a *v1.SoftphoneAccount) ([]render.Profile, error) {
	var all []render.Profile
	for _, name := range slices.Concat(o.fleet(a).Profiles, a.Spec.Profiles) {
		p := o.profiles[key{a.Namespace, string(name)}]
		if p == nil {
			return nil, fmt.Errorf("SoftphoneProfile %s is not among the files", name)
		}
		all = append(all, render.ProfileOf(p))
	}
	return all, nil
}

// line renders an account as the operator would. A password that is not among the
// files is no reason to fail where secrets are masked anyway: repositories hold none.
func (o *objects) line(cmd *cobra.Command, a *v1.SoftphoneAccount, showSecrets bool) (*render.Line, error) {
	profiles, err := o.under(a)
	if err != nil {
		return nil, fmt.Errorf("SoftphoneAccount %s: %w", a.Name, err)
	}
	values := maps.Clone(o.values[a.Namespace])
	if values == nil {
		values = render.Values{}
	}
	if !showSecrets {
		unknown := render.Passwords(&a.Spec.AccountLayer)
		for _, p := range profiles {
			unknown = append(unknown, render.Passwords(&p.Layer)...)
		}
		o.pretend(cmd, a, values, unknown)
	}
	line, err := render.Render(render.Input{
		Name: a.Name, Layer: a.Spec.AccountLayer, Below: render.BuiltIn(), Profiles: profiles, Values: values, OwnTLS: a.Spec.TLS != nil,
		Material: func() (*render.Material, []string, error) { return o.material(a) },
	})
	if err != nil {
		return nil, fmt.Errorf("SoftphoneAccount %s: %w", a.Name, err)
	}
	for _, w := range line.Warnings {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: warning: %s\n", a.Name, w)
	}
	return line, nil
}

// pretend puts something in place of the passwords whose Secrets are not among the files.
func (o *objects) pretend(cmd *cobra.Command, a *v1.SoftphoneAccount, values render.Values, refs []render.Reference) {
	for _, ref := range refs {
		if _, there := o.values[a.Namespace][ref.Object()]; there {
			continue
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: warning: Secret %s is not among the files: the %s is unknown here\n", a.Name, ref.Name, ref.Key)
		if values[ref.Object()] == nil {
			values[ref.Object()] = map[string][]byte{}
		}
		values[ref.Object()][ref.Key] = []byte("unknown")
	}
}

// material judges the certificates of a line. They are no part of the document,
// so what is not among the files is worth no more than a warning.
func (o *objects) material(a *v1.SoftphoneAccount) (*render.Material, []string, error) {
	t, values := render.TLSOf(a.Spec.TLS, o.fleet(a).TLS), o.values[a.Namespace]
	for _, ref := range render.TLSReferences(t) {
		if _, there := values[ref.Object()]; !there {
			return &render.Material{}, []string{fmt.Sprintf("%s %s is not among the files: its certificates are not checked", ref.Kind, ref.Name)}, nil
		}
	}
	return render.ReadMaterial(t, values, time.Now())
}
