// Command oracle answers, for each pod on its standard input (one JSON object a line), what
// Kubernetes itself makes of it: the API server's defaults, the scheduler's requests and host
// ports. `record.py` beside it asks the questions and keeps the answers.
//
// Run in the module of tests/e2e/controlplane, which pins Kubernetes' version.
package main

import (
	"bufio"
	"encoding/json"
	"log"
	"os"

	v1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"
	defaults "k8s.io/kubernetes/pkg/apis/core/v1"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/util"
)

type port struct {
	Port     int32  `json:"port"`
	Protocol string `json:"protocol"`
	HostIP   string `json:"hostIP"`
}

type answer struct {
	CPUMilli  int64            `json:"cpuMilli"`
	Memory    int64            `json:"memory"`
	Ephemeral int64            `json:"ephemeral"`
	Extended  map[string]int64 `json:"extended"`
	HostPorts []port           `json:"hostPorts"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var pod v1.Pod
		if err := json.Unmarshal(lines.Bytes(), &pod); err != nil {
			log.Fatal(err)
		}
		defaults.SetObjectDefaults_Pod(&pod)
		bound := pod.Spec.NodeName != ""
		asked := framework.NewResource(resource.PodRequests(&pod, resource.PodResourcesOptions{
			UseStatusResources: bound,
			InPlacePodLevelResourcesVerticalScalingEnabled: bound,
		}))
		said := answer{
			CPUMilli:  asked.MilliCPU,
			Memory:    asked.Memory,
			Ephemeral: asked.EphemeralStorage,
			Extended:  map[string]int64{},
			HostPorts: []port{},
		}
		for name, count := range asked.ScalarResources {
			if count != 0 {
				said.Extended[string(name)] = count
			}
		}
		for _, one := range util.GetHostPorts(&pod) {
			said.HostPorts = append(said.HostPorts, port{one.HostPort, string(one.Protocol), one.HostIP})
		}
		if err := out.Encode(said); err != nil {
			log.Fatal(err)
		}
	}
}
