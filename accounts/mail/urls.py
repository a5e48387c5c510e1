"""URLs of the development mailbox."""

from django.urls import path

from accounts.mail import development

urlpatterns = [
    path("dev/mail/", development.mailbox, name="dev_mail"),
    path("dev/mail/<slug:name>/", development.mail, name="dev_mail_message"),
    path("dev/mail/<slug:name>/html/", development.html, name="dev_mail_html"),
]
