// Package cluster is the half of kubectl-softphone that talks to a cluster: it
// reads accounts from the API and reaches an agent's control listener through
// a port-forward, so that Kubernetes RBAC decides who may place calls.
package cluster

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	voipv1 "github.com/softphone-operator/softphone-operator/api/v1"
)

// Commands are the commands that need a cluster.
func Commands() []*cobra.Command {
	return []*cobra.Command{statusCommand(), callCommand(), holdCommand(), resumeCommand(), messageCommand(), checkCommand(), traceCommand()}
}

// target is the cluster and namespace a command is about.
type target struct {
	kubeconfig, context, namespace string
}

func (t *target) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.kubeconfig, "kubeconfig", "", "path of the kubeconfig file (default: as kubectl finds it)")
	cmd.Flags().StringVar(&t.context, "context", "", "context of the kubeconfig to use")
	cmd.Flags().StringVarP(&t.namespace, "namespace", "n", "", "namespace (default: the context's)")
}

// session is a target that was reached.
type session struct {
	config    *rest.Config
	client    client.Client
	namespace string
}

func (t *target) connect() (*session, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = t.kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: t.context}
	overrides.Context.Namespace = t.namespace
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	scheme := runtime.NewScheme()
	if err := voipv1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	if err := corev1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	api, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	return &session{config: config, client: api, namespace: namespace}, nil
}

// account reads one account by name.
func (s *session) account(ctx context.Context, name string) (*voipv1.SoftphoneAccount, error) {
	var a voipv1.SoftphoneAccount
	if err := s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, &a); err != nil {
		return nil, err
	}
	return &a, nil
}

// agentOf opens the control listener of the agent that carries an account.
func (s *session) agentOf(ctx context.Context, a *voipv1.SoftphoneAccount) (*link, error) {
	if a.Status.Agent == "" {
		return nil, fmt.Errorf("account %s is on no agent yet: %s", a.Name, whyNotReady(a))
	}
	var pods corev1.PodList
	err := s.client.List(ctx, &pods, client.InNamespace(a.Namespace), client.MatchingLabels{voipv1.LabelAgent: a.Status.Agent})
	if err != nil {
		return nil, err
	}
	for _, p := range pods.Items {
		if p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp == nil {
			return open(ctx, s.config, p.Namespace, p.Name)
		}
	}
	return nil, fmt.Errorf("agent %s of account %s has no running pod", a.Status.Agent, a.Name)
}
