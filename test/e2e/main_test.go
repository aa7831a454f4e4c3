// Package e2e tests the whole on a real cluster: etcd, API server, scheduler,
// kubelet and containerd; the operator installed as users install it; agents in
// pods; kamailio as the registrar. It runs on the cluster's node (see the
// Makefile), where pods, node and registrar reach each other.
package e2e

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	voipv1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/test/drill"
	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
)

// The world every test runs in, made once.
var (
	cluster    client.WithWatch
	kubeconfig *rest.Config
	registrar  *kamailio.Registrar
)

// managerNamespace is where config/default installs the operator.
const managerNamespace = "softphone-system"

func TestMain(m *testing.M) {
	flag.Parse()
	if err := drill.Check(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(2)
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	log.SetLogger(zap.New(zap.UseDevMode(true)))
	var err error
	if kubeconfig, err = config.GetConfig(); err != nil {
		return 0, err
	}
	kubeconfig.QPS, kubeconfig.Burst = 500, 500
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, voipv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return 0, err
		}
	}
	if cluster, err = client.NewWithWatch(kubeconfig, client.Options{Scheme: scheme}); err != nil {
		return 0, err
	}
	node, err := nodeAddress(ctx)
	if err != nil {
		return 0, err
	}
	registrar, err = kamailio.Start(ctx, kamailio.Config{Listen: netip.AddrPortFrom(node, 0), Subscribers: subscribers()})
	if err != nil {
		return 0, err
	}
	defer func() {
		if err := registrar.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
		}
	}()
	code := m.Run()
	if err := page.Write(); err != nil {
		return code, err
	}
	if code != 0 || flag.Lookup("test.run").Value.String() != "" {
		return code, nil
	}
	unused, err := unusedRights(context.Background())
	if err == nil && len(unused) > 0 {
		err = fmt.Errorf("the operator's role grants rights that no test saw it use: %s", strings.Join(unused, ", "))
	}
	return code, err
}

// nodeAddress is where pods reach what runs on the node.
func nodeAddress(ctx context.Context) (netip.Addr, error) {
	var nodes corev1.NodeList
	if err := cluster.List(ctx, &nodes); err != nil {
		return netip.Addr{}, err
	}
	for _, n := range nodes.Items {
		for _, a := range n.Status.Addresses {
			if a.Type == corev1.NodeInternalIP {
				return netip.ParseAddr(a.Address)
			}
		}
	}
	return netip.Addr{}, fmt.Errorf("no node of %d has an internal address", len(nodes.Items))
}

// subscribers of the registrar: every test has its own, so that none is in another's way.
func subscribers() map[string]string {
	all := map[string]string{}
	for _, user := range []string{"applied", "caller", "callee", "rotated", "wrong", "deleted", "killed", "steady", "edited", "good", "unharmed", "discreet", "suspended", "confined", "checking", "checked", "looking", "looked-at", "rolled-one", "rolled-two", "pairing", "paired", "unprompted", "unmounted"} {
		all[user] = "secret-" + user
	}
	for i := range manyLines {
		all[manyUser(i)] = "secret-" + manyUser(i)
	}
	return all
}

// manyLines is how many lines a crowd has.
const manyLines = 20

func manyUser(i int) string { return fmt.Sprintf("crowd%02d", i) }
