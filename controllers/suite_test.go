package controllers_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/softphone-operator/softphone-operator/controllers"
)

// One API server for the tests of this package. There is no kubelet, scheduler
// or garbage collector: the tests play them (world_test.go).
var (
	restConfig *rest.Config
	kubeconfig []byte // of the same, for kubectl
	scheme     *runtime.Scheme
	api        client.WithWatch
)

func TestMain(m *testing.M) { os.Exit(runSuite(m)) }

func runSuite(m *testing.M) int {
	ctrl.SetLogger(logr.FromSlogHandler(slog.NewTextHandler(testLog, nil)))
	env := &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("..", "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
		BinaryAssetsDirectory: assets(),
		UseExistingCluster:    ptr.To(false),
	}
	var err error
	if restConfig, err = env.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "cannot start an API server; `make kube` builds what it takes:", err)
		return 1
	}
	defer func() {
		if err := env.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop the API server:", err)
		}
	}()
	kubeconfig = env.KubeConfig
	restConfig.QPS, restConfig.Burst = 500, 1000
	if scheme, err = controllers.Scheme(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if api, err = client.NewWithWatch(restConfig, client.Options{Scheme: scheme}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// assets is where etcd and kube-apiserver are: $KUBEBUILDER_ASSETS, else what
// `make kube` built.
func assets() string {
	if dir := os.Getenv("KUBEBUILDER_ASSETS"); dir != "" {
		return dir
	}
	dir, err := filepath.Abs(filepath.Join("..", "bin", "kubebuilder"))
	if err != nil {
		panic(err)
	}
	return dir
}
