package main

// command is one program of the box and how it is started.
type command struct {
	name string
	argv []string
}

// infrastructure is what the API server needs, itself included.
func infrastructure(kube string) []command {
	const pki = inBox + "/state/pki/"
	return []command{
		{"etcd", []string{kube, "etcd",
			"--name=" + nodeName, "--data-dir=" + inBox + "/state/etcd", "--unsafe-no-fsync", "--log-level=warn",
			"--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
			"--listen-peer-urls=http://127.0.0.1:2380", "--initial-advertise-peer-urls=http://127.0.0.1:2380",
			"--initial-cluster=" + nodeName + "=http://127.0.0.1:2380", "--quota-backend-bytes=8589934592"}},
		{"containerd", []string{"containerd", "--config=" + inBox + "/state/config/containerd.toml"}},
		{"dnsmasq", []string{"dnsmasq", "--keep-in-foreground", "--conf-file=" + inBox + "/state/config/dnsmasq.conf", "--user=root", "--pid-file="}},
		{"kube-apiserver", []string{kube, "kube-apiserver",
			"--etcd-servers=http://127.0.0.1:2379", "--bind-address=0.0.0.0", "--secure-port=6443", "--advertise-address=" + nodeIP,
			"--service-cluster-ip-range=" + serviceCIDR, "--allow-privileged=true",
			"--tls-cert-file=" + pki + "apiserver.crt", "--tls-private-key-file=" + pki + "apiserver.key",
			"--client-ca-file=" + pki + "ca.crt", "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
			"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
			"--service-account-signing-key-file=" + pki + "service-account.key", "--service-account-key-file=" + pki + "service-account.pub",
			"--kubelet-client-certificate=" + pki + "apiserver-kubelet-client.crt", "--kubelet-client-key=" + pki + "apiserver-kubelet-client.key",
			"--kubelet-certificate-authority=" + pki + "ca.crt", "--kubelet-preferred-address-types=InternalIP",
			"--audit-policy-file=" + inBox + "/state/config/audit.yaml", "--audit-log-path=" + inBox + "/logs/audit.log",
			"--requestheader-client-ca-file=" + pki + "ca.crt", "--requestheader-allowed-names=front-proxy-client",
			"--requestheader-extra-headers-prefix=X-Remote-Extra-", "--requestheader-group-headers=X-Remote-Group",
			"--requestheader-username-headers=X-Remote-User",
			"--proxy-client-cert-file=" + pki + "front-proxy-client.crt", "--proxy-client-key-file=" + pki + "front-proxy-client.key"}},
	}
}

// workers need a ready API server.
func workers(kube string) []command {
	const pki = inBox + "/state/pki/"
	// Their own limit of 20 requests a second would delay the first service
	// accounts, and with them the first pods, by five seconds.
	const fast = "--kube-api-qps=1000"
	const burst = "--kube-api-burst=2000"
	return []command{
		{"kube-controller-manager", []string{kube, "kube-controller-manager",
			"--kubeconfig=" + pki + "controller-manager.kubeconfig", "--authentication-kubeconfig=" + pki + "controller-manager.kubeconfig",
			"--authorization-kubeconfig=" + pki + "controller-manager.kubeconfig", "--root-ca-file=" + pki + "ca.crt",
			"--service-account-private-key-file=" + pki + "service-account.key", "--use-service-account-credentials=true",
			"--leader-elect=false", "--bind-address=127.0.0.1", "--allocate-node-cidrs=false", fast, burst}},
		{"kube-scheduler", []string{kube, "kube-scheduler",
			"--kubeconfig=" + pki + "scheduler.kubeconfig", "--authentication-kubeconfig=" + pki + "scheduler.kubeconfig",
			"--authorization-kubeconfig=" + pki + "scheduler.kubeconfig", "--leader-elect=false", "--bind-address=127.0.0.1", fast, burst}},
		{"kubelet", []string{kube, "kubelet", "--config=" + inBox + "/state/config/kubelet.yaml",
			"--kubeconfig=" + pki + "kubelet.kubeconfig", "--hostname-override=" + nodeName, "--node-ip=" + nodeIP}},
		// The connection tracking table's size is the machine's, not the box's.
		{"kube-proxy", []string{kube, "kube-proxy", "--kubeconfig=" + pki + "proxy.kubeconfig", "--hostname-override=" + nodeName,
			"--cluster-cidr=10.244.0.0/16", "--proxy-mode=iptables", "--conntrack-max-per-core=0", "--conntrack-min=0", "--bind-address=0.0.0.0"}},
	}
}
