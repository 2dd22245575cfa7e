{{/* Of every object; the first is what selectors go by. */}}
{{- define "podplug.labels" -}}
app.kubernetes.io/name: podplug
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "podplug.image" -}}
image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{- define "podplug.pullSecrets" -}}
{{- with .Values.image.pullSecrets -}}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{- define "podplug.makesCertificates" -}}
{{- if and .Values.tls.enabled (eq .Values.tls.certificates "podplug") }}yes{{ end }}
{{- end }}

{{- define "podplug.usesCertManager" -}}
{{- if and .Values.tls.enabled (eq .Values.tls.certificates "cert-manager") }}yes{{ end }}
{{- end }}

{{/* The files of the agent's configuration: a later one has the last word on a key. */}}
{{- define "podplug.configuration" -}}
00-podplug.yaml: |
  hostRoot: /proc/1/root
{{- if eq .Values.platform "containerd" }}
10-runtime.yaml: |
  runtime: cri
  criSocketPath: /run/containerd/containerd.sock
{{- else if eq .Values.platform "crio" }}
10-runtime.yaml: |
  runtime: cri
  criSocketPath: /run/crio/crio.sock
{{- else if eq .Values.platform "docker" }}
10-runtime.yaml: |
  runtime: docker
  dockerSocketPath: /var/run/docker.sock
{{- else if eq .Values.platform "openshift" }}
10-runtime.yaml: |
  runtime: cri
  criSocketPath: /run/crio/crio.sock
  multusSocketPath: /run/multus/socket/multus.sock
  cni:
    binDirs: [/var/lib/cni/bin, /opt/cni/bin]
    confDir: /etc/kubernetes/cni/net.d
{{- end }}
{{- if .Values.kaloom.enabled }}
20-kaloom.yaml: |
  networks: [netAttachDef, kaloom]
{{- end }}
{{- if .Values.multus.enabled }}
20-multus.yaml: |
  executor: multus
{{- end }}
{{- if .Values.tls.enabled }}
20-tls.yaml: |
  api:
    listen: 0.0.0.0:7654
    tls:
      certFile: /etc/podplug-tls/tls.crt
      keyFile: /etc/podplug-tls/tls.key
      clientCAFile: /etc/podplug-tls/ca.crt
    auth:
      tokenReview: true
{{- end }}
{{- if .Values.config }}
50-values.yaml: |
{{- toYaml .Values.config | nindent 2 }}
{{- end }}
{{- end }}
