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
