// What a person does, with a client made by OpenAPI Generator. Arguments: ORIGIN STEP NAME and those
// of the step.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"

	authsite "example.org/authsite/client"
)

var (
	api   *authsite.APIClient
	name  string
	given []string
	ctx   = context.Background()
)

func main() {
	configuration := authsite.NewConfiguration()
	configuration.Servers = authsite.ServerConfigurations{{URL: os.Args[1]}}
	api, name, given = authsite.NewAPIClient(configuration), os.Args[3], os.Args[4:]
	steps := map[string]func() string{
		"sign-up": signUp, "verify": verify, "set-up": setUp, "enrol": enrol, "sign-in": signIn,
		"end-sessions": endSessions, "ask-reset": askReset, "reset": reset,
	}
	fmt.Println(steps[os.Args[2]]())
}

func signUp() string {
	body := *authsite.NewNewUserRequest(name, name+"@example.org")
	body.SetPassword(given[0])
	user, _, err := api.UsersAPI.SignUp(ctx).NewUserRequest(body).Execute()
	check(err)
	return user.Username
}

func verify() string {
	body := *authsite.NewVerifyRequest(name+"@example.org", given[0])
	user, _, err := api.EmailAPI.VerifyEmail(ctx).VerifyRequest(body).Execute()
	check(err)
	return user.Username
}

func setUp() string {
	body := authsite.SignInRequest{Username: &name, Password: &given[0]}
	tokens, _, err := api.TokenAPI.SignIn(ctx).SignInRequest(body).Execute()
	check(err)
	made, _, err := api.FactorsAPI.SetUpAuthenticatorApp(as(tokens.Access)).Execute()
	check(err)
	return tokens.Access + " " + made.Setup + " " + made.Secret
}

func enrol() string {
	body := *authsite.NewNewAuthenticatorRequest(given[1], given[2])
	request := api.FactorsAPI.AddAuthenticatorApp(as(given[0]))
	added, _, err := request.NewAuthenticatorRequest(body).Execute()
	check(err)
	return strings.Join(added.RecoveryCodes, " ")
}

func as(access string) context.Context {
	return context.WithValue(ctx, authsite.ContextAccessToken, access)
}

func withCode() *authsite.Tokens {
	password := authsite.SignInRequest{Username: &name, Password: &given[0]}
	_, _, err := api.TokenAPI.SignIn(ctx).SignInRequest(password).Execute()
	first := refusal(err).(authsite.SignInError)
	if first.Code != authsite.SECOND_FACTOR_REQUIRED || first.Methods[0] != "totp" {
		log.Fatal(first)
	}
	second := authsite.SecondStepRequest{Challenge: *first.Challenge, Code: &given[1]}
	tokens, _, err := api.TokenAPI.CompleteSignIn(ctx).SecondStepRequest(second).Execute()
	check(err)
	return tokens
}

func signIn() string {
	me, _, err := api.MeAPI.GetMe(as(withCode().Access)).Execute()
	check(err)
	return me.Username
}

func endSessions() string {
	tokens := withCode()
	mine := as(tokens.Access)
	body := *authsite.NewRefreshRequest(*tokens.Refresh)
	renewed, _, err := api.TokenAPI.RenewToken(ctx).RefreshRequest(body).Execute()
	check(err)
	listed, _, err := api.SessionsAPI.ListSessions(mine).Execute()
	check(err)
	for _, session := range listed.Results {
		if !session.IsCurrent {
			_, err = api.SessionsAPI.RevokeSession(mine, session.Id).Execute()
			check(err)
		}
	}
	left, _, err := api.SessionsAPI.ListSessions(mine).Execute()
	check(err)
	if len(left.Results) != 1 {
		log.Fatal(left)
	}
	end := *authsite.NewRevokeRequest(*renewed.Refresh)
	_, err = api.TokenAPI.RevokeToken(ctx).RevokeRequest(end).Execute()
	check(err)
	_, _, err = api.MeAPI.GetMe(mine).Execute()
	if code := refusal(err).(authsite.Error).Code; code != authsite.TOKEN_NOT_VALID {
		log.Fatal(code)
	}
	return fmt.Sprint(len(listed.Results))
}

func askReset() string {
	body := authsite.NamedLoginRequest{Username: &name}
	asked, _, err := api.PasswordAPI.RequestPasswordReset(ctx).NamedLoginRequest(body).Execute()
	check(err)
	return asked.Challenge
}

func reset() string {
	body := authsite.NewPasswordByResetRequest{
		Challenge: &given[0], Code: &given[1], Password: given[2], FactorCode: &given[3],
	}
	user, _, err := api.PasswordAPI.ResetPassword(ctx).NewPasswordByResetRequest(body).Execute()
	check(err)
	return user.Username
}

func refusal(err error) interface{} {
	var refused *authsite.GenericOpenAPIError
	if !errors.As(err, &refused) {
		log.Fatal("not refused: ", err)
	}
	return refused.Model()
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
