{{- define "edusync.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The release's name, with the chart's name unless it says that already. */}}
{{- define "edusync.fullname" -}}
{{- $name := include "edusync.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What a Deployment finds its pods by: never changed between versions. */}}
{{- define "edusync.selectorLabels" -}}
app.kubernetes.io/name: {{ include "edusync.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "edusync.labels" -}}
{{ include "edusync.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "edusync.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "edusync.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* Cluster-wide names carry the namespace, so that two releases of one name do not meet. */}}
{{- define "edusync.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "edusync.fullname" .) }}
{{- end }}

{{/* What the pod is called that is asked before the release is uninstalled. */}}
{{- define "edusync.guardName" -}}
{{- printf "%s-uninstall-guard" (include "edusync.name" . | trunc 46 | trimSuffix "-") }}
{{- end }}

{{/* The Service that Prometheus finds the pods by. */}}
{{- define "edusync.metricsName" -}}
{{- printf "%s-metrics" (include "edusync.fullname" . | trunc 55 | trimSuffix "-") }}
{{- end }}

{{- define "edusync.image" -}}
{{- include "edusync.imageName" (list .Values.image .Chart.AppVersion) }}
{{- end }}

{{/* Of an image's values and the version that is meant where they name none. */}}
{{- define "edusync.imageName" -}}
{{- $image := index . 0 }}
{{- if $image.digest }}
{{- printf "%s@%s" $image.repository $image.digest }}
{{- else }}
{{- printf "%s:%s" $image.repository (default (index . 1) $image.tag) }}
{{- end }}
{{- end }}

{{/* The simulator: its name, the labels of its pods, its host within the cluster, and where the connection to it is. */}}
{{- define "edusync.simulatorName" -}}
{{- printf "%s-simulator" (include "edusync.fullname" . | trunc 53 | trimSuffix "-") }}
{{- end }}

{{- define "edusync.simulatorSelectorLabels" -}}
app.kubernetes.io/name: {{ printf "%s-simulator" (include "edusync.name" . | trunc 53 | trimSuffix "-") }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "edusync.simulatorLabels" -}}
{{- merge (include "edusync.simulatorSelectorLabels" . | fromYaml) (include "edusync.labels" . | fromYaml) | toYaml }}
{{- end }}

{{- define "edusync.simulatorHost" -}}
{{- printf "%s.%s.svc" (include "edusync.simulatorName" .) .Release.Namespace }}
{{- end }}

{{- define "edusync.simulatorNamespace" -}}
{{- default .Release.Namespace (first .Values.watchNamespaces) }}
{{- end }}

{{/* What every pod of the chart needs to be let in where Pod Security is `restricted`. */}}
{{- define "edusync.podSettings" -}}
serviceAccountName: {{ include "edusync.serviceAccountName" . }}
{{ include "edusync.anyPodSettings" . }}
{{- end }}

{{- define "edusync.anyPodSettings" -}}
{{- with .Values.imagePullSecrets -}}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{ end -}}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Variables for the way through a proxy. $(KUBERNETES_SERVICE_HOST) is filled in by the kubelet. */}}
{{- define "edusync.proxyEnv" -}}
{{- if .Values.proxy.httpsProxy }}
- name: HTTPS_PROXY
  value: {{ .Values.proxy.httpsProxy | quote }}
- name: NO_PROXY
  value: {{ concat (list "$(KUBERNETES_SERVICE_HOST)" ".svc" ".cluster.local") .Values.proxy.noProxy | join "," | quote }}
{{- end }}
{{- end }}
